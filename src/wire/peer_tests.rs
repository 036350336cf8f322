//! The calls between nodes, as text, there and back, and as nonsense.

use super::*;
use crate::model::status::ServerStatus;
use crate::wire::datum;
use proptest::collection::vec;
use proptest::prelude::*;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("public", name)
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        id: u64::MAX,
        address: PeerAddr::new("10.0.0.1", 8848),
        status: ServerStatus::Warming,
        root: (1 << 53) + 1,
        clock: 7,
        live: vec![PeerAddr::new("10.0.0.2", 8848)],
        heard_ms: None,
        members: 9,
        version: 1,
    }
}

#[test]
fn bodies_as_people_see_them() {
    let beat = r#"{"id":"18446744073709551615","address":"10.0.0.1:8848","state":"WARMING","root":"9007199254740993","clock":"7","live":["10.0.0.2:8848"],"heard_ms":null,"members":"9","version":1}"#;
    assert_eq!(text(write_heartbeat(&heartbeat())), beat);
    assert_eq!(text(write_buckets(&[1, 2])), r#"{"sums":["1","2"]}"#);
    assert_eq!(text(write_keys_ask(&[5, 1023])), r#"{"buckets":[5,1023]}"#);
    let datum_key = "com.alibaba.nacos.naming.iplist.ephemeral.public##g@@a";
    assert_eq!(text(write_keys(&[5], &[(key("g@@a"), 3)])), format!(r#"{{"covered":[5],"keys":[["{datum_key}","3"]]}}"#));
    let ask = EntriesAsk { keys: vec![Arc::new(key("g@@a"))], after: Some(4) };
    assert_eq!(text(write_entries_ask(&ask)), format!(r#"{{"keys":["{datum_key}"],"after":4}}"#));
    assert_eq!(text(write_entries(b"{}", 2, None)), r#"{"done":2,"after":null,"data":{}}"#);
    let next = NextPage { bucket: 3, after: Some("k".into()), entry: 7 };
    assert_eq!(text(write_page(b"{}", Some(&next))), r#"{"next":{"bucket":3,"after":"k","entry":7},"data":{}}"#);
    assert_eq!(text(write_page(b"{}", None)), r#"{"next":null,"data":{}}"#);
    assert_eq!(text(write_whoami(true)), r#"{"mine":true}"#);
    let row = SubscriberRow::new(&ServiceKey::new("n", "g@@a"), ([127, 0, 0, 1], 5).into(), "Java", "app");
    let rows =
        r#"{"subscribers":[{"addrStr":"127.0.0.1:5","agent":"Java","app":"app","ip":"127.0.0.1","namespaceId":"n","serviceName":"g@@a"}]}"#;
    assert_eq!(text(write_subscribers(std::slice::from_ref(&row))), rows);
    assert_eq!(read_subscribers(rows.as_bytes()), Ok(vec![row]));
    assert_eq!(text(write_goodbye(1, &PeerAddr::new("h", 1))), r#"{"id":"1","address":"h:1"}"#);
}

#[test]
fn what_cannot_be_read_is_named() {
    let beat = text(write_heartbeat(&heartbeat()));
    let refusal = |from: &str, to: &str| read_heartbeat(beat.replace(from, to).as_bytes()).unwrap_err().to_string();
    assert_eq!(refusal("10.0.0.1:8848", "x"), "heartbeat: \"x\" is not host:port");
    assert_eq!(refusal("WARMING", "UP"), "heartbeat: \"UP\" is no node state: expected STARTING, WARMING, READY or DRAINING");
    assert_eq!(refusal("\"clock\":\"7\",", ""), "heartbeat: missing field `clock` at line 1 column 166");
    assert_eq!(read_page(br#"{"data":{}}"#).unwrap_err().to_string(), "warmup: missing field `next` at line 1 column 11");
    let meta = read_entries_ask(br#"{"keys":["x"],"after":null}"#).unwrap_err().to_string();
    assert_eq!(meta, "entries: \"x\" is no key of an ephemeral instance list at line 1 column 13");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_reads_back(
        numbers: (u64, u64, u64, u64, Option<u64>, u32), live in vec(("[a-z.:]{1,9}", 1u16..), 0..3),
        sums: Vec<u64>, buckets: Vec<u16>, keys in vec(("[^#]{0,8}", any::<u64>()), 0..4), after: Option<u32>, done: usize,
    ) {
        let (id, root, clock, members, heard_ms, version) = numbers;
        let live = live.iter().map(|(host, port)| PeerAddr::new(host, *port)).collect();
        let beat = Heartbeat { id, root, clock, members, heard_ms, version, live, ..heartbeat() };
        prop_assert_eq!(read_heartbeat(&write_heartbeat(&beat)), Ok(beat.clone()));
        prop_assert_eq!(read_buckets(&write_buckets(&sums)), Ok(sums));
        prop_assert_eq!(read_keys_ask(&write_keys_ask(&buckets)), Ok(buckets.clone()));
        let keys: Vec<(ServiceKey, u64)> = keys.iter().map(|(name, digest)| (key(name), *digest)).collect();
        prop_assert_eq!(read_keys(&write_keys(&buckets, &keys)), Ok(Keys { covered: buckets, keys: keys.clone() }));
        let ask = EntriesAsk { keys: keys.into_iter().map(|(key, _)| Arc::new(key)).collect(), after };
        prop_assert_eq!(read_entries_ask(&write_entries_ask(&ask)), Ok(ask));
        prop_assert_eq!(read_whoami(&write_whoami(done % 2 == 0)), Ok(done % 2 == 0));
        prop_assert_eq!(read_goodbye(&write_goodbye(id, &beat.address)), Ok((id, beat.address)));
    }

    #[test]
    fn datums_inside_read_back(
        data in vec(datum::tests::any_datum(), 0..3), done: usize, after: Option<u32>, next: Option<(u16, Option<String>)>,
    ) {
        let map = datum::write(&data);
        prop_assert_eq!(read_entries(&write_entries(&map, done, after)), Ok(Entries { data: data.clone(), done, after }));
        let next = next.map(|(bucket, after)| NextPage { bucket, after, entry: 7 });
        prop_assert_eq!(read_page(&write_page(&map, next.as_ref())), Ok(Page { data, next }));
    }

    #[test]
    fn nothing_panics(body: Vec<u8>) {
        let results = [read_heartbeat(&body).is_ok(), read_buckets(&body).is_ok(), read_keys_ask(&body).is_ok(), read_keys(&body).is_ok()];
        prop_assert_eq!(results, [false; 4]);
        prop_assert!(read_entries_ask(&body).is_err() && read_entries(&body).is_err() && read_page(&body).is_err());
        prop_assert!(read_whoami(&body).is_err() && read_goodbye(&body).is_err());
    }
}
