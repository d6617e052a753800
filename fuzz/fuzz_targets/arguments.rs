//! The wrapper's command line, one argument a line. Whatever it is, the wrapper never hands over as nothing of its business what runc
//! takes for the creation, the restoring or the saving of a container, or for a process that is added; and of bundle, process and
//! container it has the same idea as runc.

#![no_main]

use cofferdam_fuzz::{go, soberly};
use cofferdam_runtime::judge::{Made, forwarded, invocation};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let given: Vec<OsString> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| OsStr::from_bytes(line).to_owned())
        .collect();
    let Some(made) = soberly(invocation(&given)) else {
        return;
    };
    let forwarded: Option<Vec<String>> = forwarded(&given)
        .iter()
        .map(|argument| argument.to_str().map(str::to_owned))
        .collect();
    let Some(line) = forwarded.and_then(|forwarded| go::parse(&forwarded)) else {
        return;
    };
    let bundle = line.bundle.clone().unwrap_or_else(|| ".".to_owned());
    let container = line.rest.first().map(String::as_str).unwrap_or_default();
    match (line.verb.as_str(), made) {
        ("create" | "run" | "restore", Made::Looked(found, named)) => {
            assert_eq!(
                (found.as_os_str(), named.as_str()),
                (OsStr::new(&bundle), container),
                "{line:?}"
            );
            assert_eq!(line.rest.len(), 1, "{line:?}");
        }
        ("exec", Made::Added(process, _, named)) => {
            assert_eq!(
                process.as_deref().map(|path| path.as_os_str()),
                line.process.as_deref().map(OsStr::new),
                "{line:?}"
            );
            let is_id = container.parse::<cofferdam_model::ContainerId>().is_ok();
            assert!(
                !is_id || named.iter().any(|named| named.as_str() == container),
                "{line:?}"
            );
        }
        ("checkpoint", Made::Saved(named)) => {
            let is_id = container.parse::<cofferdam_model::ContainerId>().is_ok();
            assert!(
                !is_id || named.iter().any(|named| named.as_str() == container),
                "{line:?}"
            );
        }
        ("create" | "run" | "restore" | "exec" | "checkpoint", made) => panic!("{line:?} became {made:?}"),
        (_, Made::Passed) => {}
        (_, made) => panic!("{line:?} became {made:?}"),
    }
});
