//! Whose deed it is, rollback, forks, and the key.

use crate::fixture::*;
use cofferdam_deed::{Deed, Envelope, Expected, KeyId, SignedDeed, open};
use cofferdam_model::ErrorKind::Corrupt;
use cofferdam_model::{ByteSize, VolumeId};
use cofferdam_vault::VolumeKey;

fn next(deed: &SignedDeed, size: &str) -> SignedDeed {
    let size = size.parse::<ByteSize>().unwrap();
    deed.with_size(size).unwrap().sign(&tenant()).unwrap()
}

/// The fixture's deed, but by somebody else, who has not the volume's key.
fn foreign() -> SignedDeed {
    let made_up = VolumeKey::take(&mut [0x55; 32]).unwrap();
    let deed = Deed::first(new_deed(), &stranger().verifying(), &made_up, wrapped()).unwrap();
    deed.sign(&stranger()).unwrap()
}

#[test]
fn a_signed_deed_opens() {
    let volume = volume();
    let opened = open(signed().bytes(), &expected(&volume)).unwrap();
    assert_eq!(opened, signed());
    assert_eq!(*opened.deed(), first(new_deed()));
    let unpinned = Expected {
        tenant_key: None,
        ..expected(&volume)
    };
    assert_eq!(open(signed().bytes(), &unpinned).unwrap(), signed());
}

#[test]
fn claims_tell_which_tenant_to_ask_for() {
    let claims = Envelope::<Deed>::parse(signed().bytes())
        .unwrap()
        .claims()
        .unwrap();
    assert_eq!(claims.volume, volume());
    assert_eq!(claims.name.tenant().as_str(), "payments");
    assert_eq!(claims.tenant_key, tenant().verifying());
    assert_eq!(claims.version, 1);
}

#[test]
fn a_deed_that_does_not_verify_is_refused() {
    let forged = envelope(DEED_TYPE, signed().payload(), &[&stranger()]).replace(
        &KeyId::of(&stranger().verifying()).to_string(),
        &KeyId::of(&tenant().verifying()).to_string(),
    );
    let volume = volume();
    refused(
        open(forged.as_bytes(), &expected(&volume)),
        Corrupt,
        &[
            volume.as_str(),
            "forged or damaged",
            "put the volume's own deed back",
        ],
    );
}

#[test]
fn a_deed_of_another_key_than_the_pinned_one_is_refused() {
    let volume = volume();
    refused(
        open(foreign().bytes(), &expected(&volume)),
        Corrupt,
        &[
            &KeyId::of(&stranger().verifying()).to_string(),
            &KeyId::of(&tenant().verifying()).to_string(),
            "an operator has to pin",
        ],
    );
}

#[test]
fn a_deed_that_names_another_key_than_its_signers_is_refused() {
    // The tenant's key signs a deed that names a stranger's as the tenant's.
    let swapped = envelope(DEED_TYPE, foreign().payload(), &[&tenant()]);
    let volume = volume();
    refused(
        open(swapped.as_bytes(), &expected(&volume)),
        Corrupt,
        &["names", "as its tenant's"],
    );
    let unpinned = Expected {
        tenant_key: None,
        ..expected(&volume)
    };
    refused(open(swapped.as_bytes(), &unpinned), Corrupt, &["not by key"]);
}

#[test]
fn another_volumes_deed_is_refused() {
    let other = VolumeId::from_bits(7);
    refused(
        open(signed().bytes(), &expected(&other)),
        Corrupt,
        &[other.as_str(), "payments.pgdata", volume().as_str()],
    );
}

#[test]
fn an_older_deed_is_a_rollback() {
    let (volume, one) = (volume(), signed());
    let two = next(&one, "20G");
    let seen = |deed: &SignedDeed| Expected {
        seen: Some((deed.version(), *deed.digest())),
        ..expected(&volume)
    };
    assert_eq!(two.version(), 2);
    open(one.bytes(), &seen(&one)).unwrap();
    open(two.bytes(), &seen(&one)).unwrap();
    open(two.bytes(), &seen(&two)).unwrap();
    refused(
        open(one.bytes(), &seen(&two)),
        Corrupt,
        &[
            "version 1, and version 2 was seen",
            "older one was put back",
            "operator's explicit act",
        ],
    );
}

#[test]
fn two_deeds_of_one_version_are_a_fork() {
    let (volume, one) = (volume(), signed());
    let (left, right) = (next(&one, "20G"), next(&one, "30G"));
    let seen = Expected {
        seen: Some((left.version(), *left.digest())),
        ..expected(&volume)
    };
    refused(
        open(right.bytes(), &seen),
        Corrupt,
        &["another version 2 than the one that was seen", "who signed both"],
    );
    // Also where the other branch has gone on.
    refused(
        open(next(&right, "40G").bytes(), &seen),
        Corrupt,
        &["version 3, but follows another version 2"],
    );
    open(next(&left, "40G").bytes(), &seen).unwrap();
    // Of one that is further on nobody can tell.
    open(next(&next(&right, "40G"), "50G").bytes(), &seen).unwrap();
}

#[test]
fn the_volumes_key_confirms_its_deed() {
    let confirmed = signed().confirm(&volume_key()).unwrap();
    assert_eq!(*confirmed.deed(), first(new_deed()));
    assert_eq!(confirmed.digest(), signed().digest());
}

#[test]
fn another_key_does_not_confirm_a_deed() {
    let other = VolumeKey::take(&mut [0x34; 32]).unwrap();
    refused(
        signed().confirm(&other),
        Corrupt,
        &["payments.pgdata", "is not the volume's"],
    );
}

#[test]
fn a_deed_by_somebody_who_never_had_the_key_is_not_confirmed() {
    // The commitment lies in the open: the stranger copies it, with the wrapped key. The binding he cannot make.
    let (ours, theirs) = (signed(), foreign());
    let field = |deed: &SignedDeed, name: &str| {
        let payload: serde_json::Value = serde_json::from_slice(deed.payload()).unwrap();
        payload["key"][name].as_str().unwrap().to_owned()
    };
    let (volume, theirs) = (
        volume(),
        text(theirs.payload()).replace(&field(&theirs, "commitment"), &field(&ours, "commitment")),
    );
    for binding in [field(&foreign(), "binding"), field(&ours, "binding")] {
        let payload = theirs.replace(&field(&foreign(), "binding"), &binding);
        let planted = envelope(DEED_TYPE, payload.as_bytes(), &[&stranger()]);
        let unpinned = Expected {
            tenant_key: None,
            ..expected(&volume)
        };
        let planted = open(planted.as_bytes(), &unpinned).unwrap();
        refused(
            planted.confirm(&volume_key()),
            Corrupt,
            &["not made by anybody who has the volume's key"],
        );
    }
}
