//! The next version of a deed.

use crate::fixture::*;
use cofferdam_deed::{Deed, DeedGrant, SignedDeed, WrappedFor, open};
use cofferdam_model::ErrorKind::{Conflict, Invalid};
use cofferdam_model::{AppName, ByteSize, Owner, Result};
use cofferdam_vault::VolumeKey;

fn batch() -> DeedGrant {
    DeedGrant {
        app: app("payments.batch"),
        rule: plain_rule(),
        write: true,
        exec: false,
        until: None,
    }
}

fn apps(deed: &Deed) -> Vec<String> {
    deed.grants().iter().map(|grant| grant.app.to_string()).collect()
}

/// That it is the next one of the fixture's deed, and opens as such.
#[track_caller]
fn follows(deed: Result<Deed>) -> SignedDeed {
    let (one, volume) = (signed(), volume());
    let two = deed.unwrap().sign(&tenant()).unwrap();
    assert_eq!((two.version(), two.previous()), (2, Some(*one.digest())));
    let mut seen = expected(&volume);
    seen.seen = Some((1, *one.digest()));
    open(two.bytes(), &seen).unwrap()
}

#[test]
fn grants_come_sorted_replace_each_other_and_go() {
    let two = follows(signed().with_grant(batch()));
    assert_eq!(
        apps(&two),
        ["payments.batch", "payments.postgres", "payments.web"]
    );
    assert_eq!(two.grants()[0], batch());
    let narrower = DeedGrant {
        write: false,
        ..signed().grants()[0].clone()
    };
    let two = follows(signed().with_grant(narrower.clone()));
    assert_eq!(apps(&two), ["payments.postgres", "payments.web"]);
    assert_eq!(two.grants()[0], narrower);
    let two = follows(signed().without_grant(&app("payments.postgres")));
    assert_eq!(apps(&two), ["payments.web"]);
}

#[test]
fn another_rule_gives_no_more_than_was_granted() {
    let rule = crate::fixture::plain_rule();
    let two = follows(signed().with_rule(&app("payments.postgres"), &rule));
    let held = signed().grants()[0].clone();
    assert_eq!(
        two.grants()[0],
        DeedGrant {
            rule: rule.clone(),
            ..held
        }
    );
    // An app that the deed grants nothing gets nothing, and no new version comes about.
    let same = signed().with_rule(&app("payments.batch"), &rule).unwrap();
    assert_eq!(same.version(), 1);
    assert_eq!(same.grants(), signed().grants());
}

#[test]
fn grants_are_sorted_by_the_name_as_it_is_written() {
    // By its two parts it would be the other way round: "-" sorts before ".".
    let named = |name: &str| DeedGrant {
        app: app(name),
        ..batch()
    };
    let two = follows(signed().with_grant(named("payments-eu.web")));
    assert_eq!(apps(&two)[0], "payments-eu.web");
    assert!("payments-eu.web" < "payments.web");
    assert!(app("payments-eu.web") > app("payments.web"));
}

#[test]
fn a_change_that_changes_nothing_is_the_same_deed() {
    let one = signed();
    let held = one.grants()[1].clone();
    let nobody: AppName = app("payments.nobody");
    let same = [
        one.with_grant(held),
        one.without_grant(&nobody),
        one.with_owner(Owner { uid: 999, gid: 999 }),
        one.with_size("10G".parse::<ByteSize>().unwrap()),
        one.with_key(&volume_key(), wrapped()),
    ];
    for deed in same {
        let again = deed.unwrap().sign(&tenant()).unwrap();
        assert_eq!(again, one);
    }
}

#[test]
fn sizes_and_keys_change() {
    let two = follows(signed().with_size("20G".parse::<ByteSize>().unwrap()));
    assert_eq!(two.size().get(), 20 << 30);
    let anew = WrappedFor {
        recipients: vec!["age1one".into(), "age1two".into()],
        wrapped: "wrapped".into(),
    };
    // For other recipients.
    let two = follows(signed().with_key(&volume_key(), anew.clone()));
    assert_eq!(
        (two.recipients(), two.wrapped()),
        (&anew.recipients[..], "wrapped")
    );
    two.confirm(&volume_key()).unwrap();
}

#[test]
fn a_rotation_has_two_keys_until_it_ends_each_confirmed_by_itself() {
    let anew = WrappedFor {
        recipients: vec!["age1other".to_owned()],
        wrapped: "another".to_owned(),
    };
    let other = VolumeKey::take(&mut [0x44; 32]).unwrap();
    assert!(signed().wrapped_before().is_none());
    assert!(signed().confirm_before(&volume_key()).is_err());
    let two = follows(signed().with_rotation(&other, anew.clone()));
    assert_eq!(
        (two.wrapped(), two.wrapped_before()),
        ("another", Some(signed().wrapped()))
    );
    two.confirm(&other).unwrap();
    two.confirm_before(&volume_key()).unwrap();
    // Neither is taken for the other.
    assert!(two.confirm(&volume_key()).is_err() && two.confirm_before(&other).is_err());
    // Whatever else changes, both stay.
    let three = two.with_grant(batch()).unwrap().sign(&tenant()).unwrap();
    three.confirm_before(&volume_key()).unwrap();
    refused(
        three.with_rotation(&volume_key(), anew),
        Conflict,
        &["is being encrypted anew already"],
    );
    let four = three.without_key_before().unwrap().sign(&tenant()).unwrap();
    assert_eq!((four.version(), four.wrapped_before()), (4, None));
    four.confirm(&other).unwrap();
    assert!(four.confirm_before(&volume_key()).is_err());
    assert_eq!(four.without_key_before().unwrap(), *four.deed());
}

#[test]
fn another_wrapping_and_a_rotation_can_be_said_without_the_key() {
    let anew = WrappedFor {
        recipients: vec!["age1other".to_owned()],
        wrapped: "another".to_owned(),
    };
    let one = signed();
    assert_eq!(
        one.with_wrapped(anew.clone()).unwrap(),
        one.with_key(&volume_key(), anew.clone()).unwrap()
    );
    let other = VolumeKey::take(&mut [0x44; 32]).unwrap();
    let mine = WrappedFor {
        recipients: one.recipients().to_vec(),
        ..anew.clone()
    };
    let rotated = one.with_rotation(&other, mine).unwrap();
    assert_eq!(one.with_rotation_to_key_of(&rotated).unwrap(), rotated);
    // Recipients are never taken over.
    let theirs = one.with_rotation(&other, anew).unwrap();
    assert_ne!(one.with_rotation_to_key_of(&theirs).unwrap(), theirs);
}

#[test]
fn an_owner_is_set_once() {
    let mut new = new_deed();
    new.owner = None;
    let one = first(new).sign(&tenant()).unwrap();
    assert_eq!(one.owner(), None);
    let owner = Owner { uid: 5, gid: 6 };
    let two = one.with_owner(owner).unwrap().sign(&tenant()).unwrap();
    assert_eq!((two.version(), two.owner()), (2, Some(owner)));
    refused(
        two.with_owner(Owner { uid: 5, gid: 7 }),
        Conflict,
        &["payments.pgdata", "5:6", "5:7"],
    );
}

#[test]
fn what_no_deed_can_say_is_invalid() {
    let one = signed();
    refused(one.with_size(ByteSize::bytes(0)), Invalid, &["size is 0"]);
    let nobody = WrappedFor {
        recipients: vec![],
        ..wrapped()
    };
    refused(
        one.with_key(&volume_key(), nobody),
        Invalid,
        &["1 to 64 recipients"],
    );
    let mut twice = new_deed();
    twice.grants.push(twice.grants[0].clone());
    let made = Deed::first(twice, &tenant().verifying(), &volume_key(), wrapped());
    refused(made, Invalid, &["one app has two: payments.web"]);
}

#[test]
fn there_is_a_last_version() {
    let last = text(signed().payload()).replacen("\"version\":1", "\"version\":9007199254740991", 1);
    let last = format!(
        "{},\"previous\":\"{}\"}}",
        last.strip_suffix('}').unwrap(),
        "00".repeat(32)
    );
    let last = envelope(DEED_TYPE, last.as_bytes(), &[&tenant()]);
    let volume = volume();
    let last = open(last.as_bytes(), &expected(&volume)).unwrap();
    refused(
        last.with_grant(batch()),
        Invalid,
        &["its version is 9007199254740992"],
    );
}

#[test]
fn a_deed_that_would_be_too_long_is_not_signed() {
    let mut new = new_deed();
    new.grants = (0..400)
        .map(|number| {
            let mut grant = batch();
            grant.app = app(&format!("payments.app{number}"));
            grant.rule.cwd = Some("/x".repeat(250));
            grant
        })
        .collect();
    refused(
        first(new).sign(&tenant()),
        Invalid,
        &["longer than 194560 bytes", "fewer grants"],
    );
}
