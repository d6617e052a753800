//! What every registry must do. Each back end runs [`suite`] in its own tests.

use crate::{Change, Commit, Registry, Revision, Watch};
use cofferdam_model::ErrorKind;
use std::{sync::Arc, time::Duration};

/// Runs every case, each on an empty registry of its own.
pub(crate) fn suite<R: Registry + 'static>(make: impl Fn() -> R) {
    reads_what_was_written(&make());
    lists_by_prefix_in_order(&make());
    one_count_for_all_keys(&make());
    expectations_hold_or_nothing_happens(&make());
    changing_nothing_is_no_revision(&make());
    nonsense_is_refused(&make());
    any_key_and_value_survives(&make());
    watches_tell_in_order(&make());
    watches_follow_their_prefix(&make());
    concurrent_counting_loses_nothing(Arc::new(make()));
    as_an_object(&make());
}

/// How long a back end may take to tell of a change.
const PATIENCE: Duration = Duration::from_secs(5);

fn next(watch: &Watch) -> Change {
    watch.wait_at_most(PATIENCE).expect("a change is told")
}

fn keys(registry: &dyn Registry, prefix: &str) -> Vec<String> {
    let entries = registry.list(prefix).unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

fn reads_what_was_written(registry: &dyn Registry) {
    assert_eq!(registry.get("a").unwrap(), None);
    let revision = registry.commit(Commit::new().put("a", "1")).unwrap();
    let entry = registry.get("a").unwrap().unwrap();
    assert_eq!(
        (entry.key.as_str(), entry.value.as_slice(), entry.revision),
        ("a", &b"1"[..], revision)
    );
    registry.commit(Commit::new().delete("a")).unwrap();
    assert_eq!(registry.get("a").unwrap(), None);
}

fn lists_by_prefix_in_order(registry: &dyn Registry) {
    let commit = ["v/b", "v/a", "v", "w/a", "v/é", "v/\u{10ffff}", "u/z", "v/A"]
        .into_iter()
        .fold(Commit::new(), |commit, key| commit.put(key, key));
    registry.commit(commit).unwrap();
    assert_eq!(keys(registry, "v/"), ["v/A", "v/a", "v/b", "v/é", "v/\u{10ffff}"]);
    assert_eq!(keys(registry, "x"), [""; 0]);
    assert_eq!(keys(registry, "").len(), 8);
    // Wild cards of SQL's are ordinary characters.
    assert_eq!(keys(registry, "v%"), [""; 0]);
    assert_eq!(keys(registry, "_"), [""; 0]);
}

fn one_count_for_all_keys(registry: &dyn Registry) {
    let first = registry
        .commit(Commit::new().put("a", "1").put("b", "1"))
        .unwrap();
    let second = registry.commit(Commit::new().put("b", "2")).unwrap();
    assert!(second > first);
    assert_eq!(registry.get("a").unwrap().unwrap().revision, first);
    assert_eq!(registry.get("b").unwrap().unwrap().revision, second);
    // A key that comes back is not taken for the one that went.
    registry.commit(Commit::new().delete("a")).unwrap();
    let third = registry.commit(Commit::new().put("a", "1")).unwrap();
    assert!(third > second);
}

fn expectations_hold_or_nothing_happens(registry: &dyn Registry) {
    let old = registry
        .commit(Commit::new().expect_absent("a").put("a", "1"))
        .unwrap();
    let new = registry
        .commit(Commit::new().expect("a", old).put("a", "2"))
        .unwrap();
    let failing = [
        Commit::new().expect("a", old),
        Commit::new().expect_absent("a"),
        Commit::new().expect("never", new),
        // Only the last expectation fails.
        Commit::new().expect("a", new).expect_absent("b").expect("c", new),
    ];
    for commit in failing {
        let commit = commit.put("b", "x").put("a", "x").delete("a2");
        let problem = registry.commit(commit).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Conflict, "{problem}");
        assert_eq!(registry.get("a").unwrap().unwrap().value, b"2");
        assert_eq!(registry.get("b").unwrap(), None);
    }
    let after = registry
        .commit(Commit::new().expect("a", new).put("a", "3"))
        .unwrap();
    assert!(after > new);
}

fn changing_nothing_is_no_revision(registry: &dyn Registry) {
    let watch = registry.watch("");
    let before = registry.commit(Commit::new().put("a", "1")).unwrap();
    assert_eq!(next(&watch).key, "a");
    assert_eq!(registry.commit(Commit::new()).unwrap(), before);
    assert_eq!(
        registry
            .commit(Commit::new().expect("a", before).delete("none"))
            .unwrap(),
        before
    );
    assert_eq!(watch.wait_at_most(Duration::from_millis(50)), None);
}

fn nonsense_is_refused(registry: &dyn Registry) {
    let nonsense = [
        Commit::new().put("", "x"),
        Commit::new().delete(""),
        Commit::new().expect_absent(""),
        Commit::new().put("a", "1").put("a", "2"),
        Commit::new().put("a", "1").delete("a"),
        Commit::new().delete("a").delete("a"),
    ];
    for commit in nonsense {
        assert_eq!(registry.commit(commit).unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(keys(registry, "").len(), 0);
}

fn any_key_and_value_survives(registry: &dyn Registry) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let cases = [
        ("'; DROP TABLE entry; --", b"x".to_vec()),
        ("new\nline", Vec::new()),
        ("bytes", every_byte),
        ("big", vec![7; 1 << 20]),
    ];
    for (key, value) in cases {
        registry.commit(Commit::new().put(key, value.clone())).unwrap();
        assert_eq!(registry.get(key).unwrap().unwrap().value, value, "{key:?}");
    }
}

fn watches_tell_in_order(registry: &dyn Registry) {
    registry.commit(Commit::new().put("early", "not told")).unwrap();
    let watch = registry.watch("");
    let mut committed = Vec::new();
    for round in 0..50 {
        committed.push(
            registry
                .commit(Commit::new().put("n", round.to_string()))
                .unwrap(),
        );
    }
    let last = registry
        .commit(Commit::new().put("m", "both").delete("n"))
        .unwrap();
    for (round, revision) in committed.into_iter().enumerate() {
        let expected = Change {
            key: "n".into(),
            value: Some(round.to_string().into()),
            revision,
        };
        assert_eq!(next(&watch), expected);
    }
    let both = [next(&watch), next(&watch)];
    assert!(both.iter().all(|change| change.revision == last));
    assert!(
        both.iter()
            .any(|change| change.key == "n" && change.value.is_none())
    );
    assert!(
        both.iter()
            .any(|change| change.key == "m" && change.value.is_some())
    );
}

fn watches_follow_their_prefix(registry: &dyn Registry) {
    let (volumes, gone) = (registry.watch("volume/"), registry.watch(""));
    drop(gone);
    registry
        .commit(Commit::new().put("app/a", "1").put("volume/v", "1"))
        .unwrap();
    registry
        .commit(Commit::new().expect_absent("volume/v").put("volume/x", "1"))
        .unwrap_err();
    registry.commit(Commit::new().delete("volume/v")).unwrap();
    assert_eq!(next(&volumes).value, Some(b"1".to_vec()));
    assert_eq!(next(&volumes).value, None);
    assert_eq!(volumes.ready(), None);
}

/// Four threads count one key up by compare-and-commit; watched, the count never skips or repeats.
fn concurrent_counting_loses_nothing<R: Registry + 'static>(registry: Arc<R>) {
    let watch = registry.watch("count");
    registry.commit(Commit::new().put("count", "0")).unwrap();
    let count_up = |registry: Arc<R>| {
        move || {
            let mut done = 0;
            while done < 25 {
                let entry = registry.get("count").unwrap().unwrap();
                let count: u32 = String::from_utf8(entry.value).unwrap().parse().unwrap();
                let commit = Commit::new().expect("count", entry.revision);
                match registry.commit(commit.put("count", (count + 1).to_string())) {
                    Ok(_) => done += 1,
                    Err(problem) => assert_eq!(problem.kind, ErrorKind::Conflict, "{problem}"),
                }
            }
        }
    };
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(count_up(registry.clone())))
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut before = Revision(0);
    for count in 0..=100 {
        let change = next(&watch);
        assert_eq!(change.value, Some(count.to_string().into_bytes()));
        assert!(change.revision > before);
        before = change.revision;
    }
}

fn as_an_object(registry: &dyn Registry) {
    fn crosses_threads<T: Send + Sync + ?Sized>(_: &T) {}
    crosses_threads(registry);
    registry.commit(Commit::new().put("a", "1")).unwrap();
}
