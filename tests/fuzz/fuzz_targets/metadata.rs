//! Metadata of registrations: what passes, printed as JSON and read again, is the same.
#![no_main]

use headcount::wire::java_json::Json;
use headcount::wire::metadata::metadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(read) = metadata(text) else { return };
    let value = |value: Option<&str>| value.map_or(Json::Null, |text| Json::Text(text.to_string().into()));
    let printed = Json::Object(read.iter().map(|(k, v)| (k.to_string().into(), value(v))).collect()).to_string();
    assert_eq!(metadata(&printed), Ok(read));
});
