//! The checks can fail: small sources, and what is found in them.

use crate::{inspect, strangers};
use std::collections::BTreeMap;

/// Faults of one file whose text is `text` below a head.
#[track_caller]
fn check(path: &str, text: &str, want: &[&str]) {
    let files = BTreeMap::from([(path.to_owned(), format!("//! Head.\n{text}"))]);
    let faults = inspect(&files, &[]);
    assert_eq!(faults.len(), want.len(), "{faults:#?}");
    for (fault, want) in faults.iter().zip(want) {
        assert!(fault.contains(want), "{fault:?} does not say {want:?}");
    }
}

#[test]
fn imports_go_down() {
    check("src/actors/service.rs", "use crate::{model::name::ServiceKey, registry::cell::Cell};", &[]);
    check("src/model/name.rs", "use crate::wire::form::Form;", &["`model` (rank 1) must not use `wire` (rank 2)"]);
    check("src/registry/cell.rs", "fn f() { crate::http::reply::ok() }", &["must not use `http`"]);
    check("src/net/link.rs", "use crate::{\n    model::a,\n    node::{b, c},\n};", &["src/net/link.rs:4"]);
}

#[test]
fn modules_of_one_rank_do_not_know_each_other() {
    check("src/protocol/outbox.rs", "use crate::wire::Datum;", &["both of rank 2"]);
    check("src/wire/datum.rs", "use crate::wire::form;", &[]);
    check("src/registry/cell.rs", "use crate::clock::Clock;", &[]);
    check("src/clock.rs", "use crate::metrics::Counter;", &["both of rank 3"]);
    check("src/cli/mod.rs", "use crate::node::Node;", &[]);
}

#[test]
fn super_does_not_hide_an_import() {
    check("src/wire/form.rs", "use super::super::protocol::outbox;", &["both of rank 2"]);
    check("src/wire/form.rs", "mod tests { use super::super::*; }", &[]);
    check("src/wire/mod.rs", "use super::protocol::outbox;", &["both of rank 2"]);
    check("src/wire/form.rs", "pub(crate) use super::metadata;", &[]);
}

#[test]
fn names_that_say_nothing_are_refused() {
    check("src/http/mod.rs", "struct PeerManager; enum BeatInfo {} struct Metadata;", &["BeatInfo", "PeerManager"]);
    check("src/http/common.rs", "", &["`common` says nothing"]);
    check("src/helpers/mod.rs", "", &["has no rank", "`helpers` says nothing"]);
}

#[test]
fn shortcuts_are_refused_outside_tests() {
    check("src/net/disk.rs", "fn f() { g().unwrap() }", &[".unwrap()"]);
    check("src/net/disk.rs", "#[cfg(test)] mod tests { fn f() { g().unwrap() } }", &[]);
    check("src/net/disk.rs", "#[cfg(test)] use a::{b}; #[test] fn f() { g().unwrap() } fn h() { i().unwrap() }", &[".unwrap()"]);
    check("tests/sim.rs", "#[test] #[ignore = \"slow\"] fn f() { todo!() }", &["#[ignore]", "todo!"]);
}

#[test]
fn a_module_for_tests_in_its_own_file_may_unwrap() {
    let check = |parent: &str, text: &str, child: &str| {
        let of = |(path, text): (&str, &str)| (path.to_owned(), format!("//! Head.\n{text}"));
        inspect(&[(parent, text), (child, "fn f() { g().unwrap() }")].map(of).into(), &[]).len()
    };
    assert_eq!(check("src/net/mod.rs", "#[cfg(test)]\nmod tests;", "src/net/tests.rs"), 0);
    assert_eq!(check("src/model/domain.rs", "#[cfg(test)] mod tests;", "src/model/domain/tests.rs"), 0);
    assert_eq!(check("src/net/link.rs", "#[cfg(test)] #[path = \"link_tests.rs\"] mod tests;", "src/net/link_tests.rs"), 0);
    assert_eq!(check("src/net/mod.rs", "#[cfg(test)] mod tests; mod link;", "src/net/link.rs"), 1);
}

#[test]
fn only_one_file_knows_statuses() {
    let text = "use actix_web::http::StatusCode; fn f() { reply(404); HttpResponse::Ok(); }";
    check("src/http/reply.rs", text, &[]);
    check("src/http/beat.rs", text, &["404", "HttpResponse", "StatusCode"]);
    check("src/http/beat.rs", "const PAGE: usize = 500; fn f() -> HttpResponse { #[cfg(test)] { is(404) } }", &[]);
}

#[test]
fn exceptions_only_shrink() {
    let long = |lines: usize| BTreeMap::from([("src/lib.rs".to_owned(), format!("//! Head.\nfn f() {{{}}}\n", "\n".repeat(lines)))]);
    let check = |lines, table: &[(&str, usize)], want: &[&str]| {
        let faults = inspect(&long(lines), table);
        assert_eq!(faults.len(), want.len(), "{faults:#?}");
        assert!(faults.iter().zip(want).all(|(fault, want)| fault.contains(want)), "{faults:#?}");
    };
    check(69, &[], &[]);
    check(70, &[], &["src/lib.rs::f: 71 lines, 70 are allowed"]);
    check(79, &[("src/lib.rs::f", 80)], &[]);
    check(80, &[("src/lib.rs::f", 80)], &["grew to 81"]);
    check(78, &[("src/lib.rs::f", 80)], &["lower its row"]);
    check(9, &[("src/lib.rs::f", 80), ("src/gone.rs", 500)], &["src/gone.rs: is gone", "delete its row"]);
    check(398, &[("src/lib.rs::f", 399)], &[]);
    check(399, &[("src/lib.rs::f", 400)], &["src/lib.rs: 401 lines"]);
}

#[test]
fn a_file_without_a_head_and_a_stranger_at_the_top_are_named() {
    let files = BTreeMap::from([("src/clock.rs".to_owned(), "use std::fmt;".to_owned())]);
    assert_eq!(inspect(&files, &[]).len(), 1);
    let names = ["src", "scripts", ".ci"].map(str::to_owned).into();
    assert_eq!(strangers(&names).len(), 1);
}
