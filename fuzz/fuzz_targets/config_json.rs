//! An OCI config.json, as the wrapper and the daemon read it: both refuse what the real runtime could read otherwise, the wrapper
//! rewrites nothing but what it must, and whatever it lets pass unasked reaches nobody, by rules that another hand has written.

#![no_main]

use cofferdam_fuzz::{naive, soberly};
use cofferdam_measure::judge as measured;
use cofferdam_model::{Namespace, Privilege, wire::OpenedMount};
use cofferdam_runtime::judge as wrapper;
use std::path::Path;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let found = soberly(measured::config(bytes));
    let Some(config) = soberly(wrapper::document(bytes)) else {
        assert!(found.is_none(), "the daemon reads what the wrapper does not");
        return;
    };
    assert!(!naive::is_ambiguous(bytes));
    let sources = wrapper::sources(&config);
    let indices: Vec<usize> = sources.iter().map(|(index, _)| *index).collect();
    let guarded = wrapper::is_guarded(&config);
    if !guarded {
        assert_eq!(naive::reaches(&config, &indices), None);
    }
    if let Some(found) = &found {
        let reaches = |privilege: &Privilege| match privilege {
            Privilege::Capability(_) => privilege.reaches_out(),
            Privilege::BlockDevice(_) | Privilege::UnmaskedPaths => true,
            _ => false,
        };
        let shared = found.namespaces;
        let joins = [shared.pid, shared.mount]
            .iter()
            .any(|namespace| *namespace != Namespace::Own)
            || [shared.ipc, shared.user].contains(&Namespace::Foreign);
        assert!(
            guarded || !(joins || found.privileges.iter().any(reaches)),
            "{found:?}"
        );
    }
    // The odd ones were opened, the others judged as they are.
    let (opened, judged): (Vec<usize>, Vec<usize>) = indices.iter().partition(|index| *index % 2 == 1);
    let opened: Vec<(usize, bool)> = opened.into_iter().map(|index| (index, index % 4 == 1)).collect();
    let mounts: Vec<OpenedMount> = opened
        .iter()
        .map(|(mount, read_only)| OpenedMount {
            mount: *mount,
            read_only: *read_only,
        })
        .collect();
    let place = Path::new("/run/cofferdam/attach");
    let rewritten =
        wrapper::rewritten(&config, &mounts, &judged, place).expect("each of these mounts is there");
    naive::only_these_differ(&config, &rewritten, &opened, &judged, place);
    // What was judged is what runs.
    let again = measured::config(rewritten.to_string().as_bytes());
    if let (Some(found), Ok(again)) = (found, &again) {
        assert_eq!((found.argv, found.user), (again.argv.clone(), again.user));
        assert_eq!(
            (found.privileges, found.namespaces),
            (again.privileges.clone(), again.namespaces)
        );
        assert_eq!(
            (found.id_map, found.foreign_env),
            (again.id_map.clone(), again.foreign_env.clone())
        );
        assert_eq!(again.ticket, Ok(None), "no container sees its ticket");
    }
    let past_the_end = [config["mounts"].as_array().map_or(0, Vec::len)];
    assert!(wrapper::rewritten(&config, &[], &past_the_end, place).is_err());
});
