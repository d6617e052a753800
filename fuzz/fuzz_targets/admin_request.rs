//! The admin API: bodies, and the names that stand in its paths. What is read, written again, is read the same.

#![no_main]

use cofferdam_fuzz::{sober, soberly};
use cofferdam_model::api::{Adopt, Learn, NewApp, NewDeed, NewSize, NewTenant, NewTicket, NewVolume};
use cofferdam_model::{
    Access, AppName, ByteSize, ContainerId, DecisionId, Grant, Kind, Privilege, Problem, Result, TenantName,
    VolumeName, json,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::{Debug, Display};
use std::str::FromStr;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::<NewTenant>(bytes);
    body::<NewApp>(bytes);
    body::<NewTicket>(bytes);
    body::<NewVolume>(bytes);
    body::<NewDeed>(bytes);
    body::<NewSize>(bytes);
    body::<Adopt>(bytes);
    body::<Learn>(bytes);
    body::<Grant>(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    word::<TenantName>(text);
    word::<AppName>(text);
    word::<VolumeName>(text);
    word::<ContainerId>(text);
    word::<DecisionId>(text);
    word::<ByteSize>(text);
    word::<Access>(text);
    if let Ok(kind) = text.parse::<Kind>() {
        assert_eq!(kind.word(), text);
    }
    word::<Privilege>(text);
});

fn body<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    let read: Result<T> = json::read("the request", bytes);
    let Some(body) = soberly(read) else { return };
    let written = serde_json::to_vec(&body).expect("it can be written");
    assert_eq!(json::read::<T>("the request", &written), Ok(body));
}

fn word<T: FromStr<Err = Problem> + Display + PartialEq + Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(word) => {
            let shown = word.to_string();
            assert_eq!(shown.parse::<T>(), Ok(word), "{shown:?}");
        }
        Err(problem) => sober(&problem),
    }
}
