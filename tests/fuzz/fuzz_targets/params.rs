//! A request's parameters: the first half of the input is the query, the second the body. No reader may panic, whatever the bytes are.
#![no_main]

use headcount::wire::form::Params;
use headcount::wire::value;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 6] = ["a", "serviceName", "groupName", "port", "encoding", "é"];

fuzz_target!(|input: (&str, &[u8])| {
    let (query, form) = input;
    let params = Params::new(query, Some(form));
    for name in NAMES {
        let raw = params.raw(name);
        assert_eq!(raw.is_none(), params.bound(name).is_err());
        assert!(params.optional(name).is_none_or(|value| !value.is_empty()));
        assert!(params.required(name).is_err() || raw.as_deref().is_some_and(|value| !value.is_empty()));
        let text = raw.unwrap_or_default();
        let _ = (value::bool_a(&text), value::bool_j(&text), value::bool_s(&text), value::long_j(&text), value::double_j(&text));
        assert_eq!(value::int_j(&text).unwrap_or(0), value::int_l(&text));
        assert_eq!(value::float_s(&text).unwrap_or(0.0), value::float_l(&text));
        assert!(value::float_l(&text).is_finite());
        let _ = value::int_s(&text);
    }
    let _ = (params.required_service(), params.bound_service());
});
