//! The JSON of clients: beats, and the selectors and health checkers of operators. What passes prints as strict JSON.
#![no_main]

use headcount::wire::checker::checker;
use headcount::wire::selector::{selector, service_filter};
use headcount::wire::{beat::beat, java_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(beat) = beat(text) {
        assert!(beat.weight.is_finite() && !beat.cluster().is_empty());
        let _ = beat.metadata();
    }
    if let Ok(value) = java_json::read(text) {
        let printed = value.to_string();
        let again = java_json::read(&printed).expect("what was printed reads back");
        assert_eq!(printed, again.to_string());
    }
    let _ = (selector(text), service_filter(text), checker(text));
});
