//! Signing where the key is: a daemon, or a registry below it, that lies gets no signature.

use crate::{answers::ok, command::cofferdam, server::Server};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::{Deed, DeedGrant, Draft, Filesystem, NewDeed, SignedDeed, WrappedFor, pem};
use cofferdam_model::{Access, LaunchRule, Owner, Sha256, VolumeId};
use cofferdam_vault::{SigningKey, VolumeKey};
use serde_json::json;
use std::{fs, path::Path};

const VOLUME: u128 = 0x8081_8283;

fn tenant() -> SigningKey {
    SigningKey::take(&mut [0x11; 32]).unwrap()
}

fn rule(image: u8) -> LaunchRule {
    serde_json::from_value(json!({"image": Sha256::from_bytes([image; 32])})).unwrap()
}

fn grant(app: &str, write: bool) -> DeedGrant {
    DeedGrant {
        app: app.parse().unwrap(),
        rule: rule(7),
        write,
        exec: false,
        until: None,
    }
}

fn wrapped(recipient: &str) -> WrappedFor {
    WrappedFor {
        recipients: vec![recipient.to_owned()],
        wrapped: "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3Yx\n-----END AGE ENCRYPTED FILE-----\n".into(),
    }
}

fn first(volume: u128, change: impl FnOnce(&mut NewDeed)) -> Deed {
    let mut new = NewDeed {
        volume: VolumeId::from_bits(volume),
        name: "payments.pgdata".parse().unwrap(),
        created: "2026-11-01T08:30:00Z".parse().unwrap(),
        size: "10G".parse().unwrap(),
        filesystem: Filesystem::Ext4,
        access: Access::Exclusive,
        owner: None,
        grants: Vec::new(),
    };
    change(&mut new);
    let key = VolumeKey::take(&mut [0x33; 32]).unwrap();
    Deed::first(new, &tenant().verifying(), &key, wrapped("age1ours")).unwrap()
}

/// What the tenant has signed before: one app may open it.
fn current() -> SignedDeed {
    first(VOLUME, |new| new.grants.push(grant("payments.web", true)))
        .sign(&tenant())
        .unwrap()
}

/// Whether the command signs this draft, where it is asked to do this; what it says.
fn signs(words: &[&str], draft: Deed, current: Option<&SignedDeed>) -> (bool, String) {
    let draft = STANDARD.encode(Draft::of(draft).unwrap().bytes());
    let current = current.map(|current| STANDARD.encode(current.bytes()));
    let server = Server::start(vec![(
        "POST /v1/deeds",
        ok(json!({"sign": {"draft": draft, "current": current}})),
    )]);
    let place = tempfile::tempdir().unwrap();
    let key = place.path().join("tenant.key");
    pem::write_private(&tenant(), |text| fs::write(&key, text)).unwrap();
    let output = run(&server, words, &key);
    let signed = server.asked().iter().any(|asked| asked.contains(r#""deed":""#));
    (signed, output)
}

fn run(server: &Server, words: &[&str], key: &Path) -> String {
    let output = cofferdam(&server.socket())
        .args(words)
        .arg("--sign-with")
        .arg(key)
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

const GRANT: &[&str] = &[
    "grant",
    "payments.pgdata",
    "payments.postgres",
    "--read-only",
    "--yes",
];
const REVOKE: &[&str] = &["revoke", "payments.pgdata", "payments.web"];
const CREATE: &[&str] = &["volume", "create", "payments.pgdata", "--yes"];

#[test]
fn what_was_asked_for_is_signed() {
    let before = current();
    let granted = before.with_grant(grant("payments.postgres", false)).unwrap();
    assert!(signs(GRANT, granted, Some(&before)).0);
    let revoked = before.without_grant(&"payments.web".parse().unwrap()).unwrap();
    assert!(signs(REVOKE, revoked, Some(&before)).0);
    assert!(signs(CREATE, first(VOLUME, |_| {}), None).0);
}

#[test]
fn a_lie_about_a_grant_is_not_signed() {
    let before = current();
    let asked = |deed: Deed| deed.sign(&tenant()).unwrap();
    let honest = || asked(before.with_grant(grant("payments.postgres", false)).unwrap());
    let key = VolumeKey::take(&mut [0x44; 32]).unwrap();
    let lies = [
        // May write, which was not asked for.
        before.with_grant(grant("payments.postgres", true)).unwrap(),
        // Another app.
        before.with_grant(grant("evil.app", false)).unwrap(),
        // One app more, and one version more.
        honest().with_grant(grant("evil.app", true)).unwrap(),
        // Another key, other recipients.
        honest().with_key(&key, wrapped("age1theirs")).unwrap(),
        honest().with_owner(Owner { uid: 0, gid: 0 }).unwrap(),
        honest().with_size("1G".parse().unwrap()).unwrap(),
        // Not what follows the one before.
        first(VOLUME, |new| new.grants.push(grant("payments.postgres", false))),
    ];
    for lie in lies {
        let (signed, said) = signs(GRANT, lie, Some(&before));
        assert!(!signed && said.contains("nothing was signed"), "{said}");
    }
    // One that the tenant never signed, or of another volume, for the one before.
    let other = first(VOLUME + 1, |_| {}).sign(&tenant()).unwrap();
    let draft = before.with_grant(grant("payments.postgres", false)).unwrap();
    assert!(!signs(GRANT, draft.clone(), Some(&other)).0);
    assert!(!signs(GRANT, draft, None).0);
}

#[test]
fn a_lie_about_a_revocation_is_not_signed() {
    let before = current();
    let revoked = before.without_grant(&"payments.web".parse().unwrap()).unwrap();
    let more = revoked
        .sign(&tenant())
        .unwrap()
        .with_grant(grant("evil.app", true))
        .unwrap();
    for lie in [before.with_grant(grant("evil.app", true)).unwrap(), more] {
        let (signed, said) = signs(REVOKE, lie, Some(&before));
        assert!(!signed && said.contains("nothing was signed"), "{said}");
    }
}

const SHARE: &[&str] = &["volume", "share", "payments.pgdata", "--recipient", "age1theirs"];
const UNSHARE: &[&str] = &["volume", "unshare", "payments.pgdata", "--recipient", "age1ours"];
const ROTATE: &[&str] = &["volume", "rotate", "payments.pgdata", "--detach"];

fn wrapped_for(recipients: &[&str]) -> WrappedFor {
    WrappedFor {
        recipients: recipients.iter().map(ToString::to_string).collect(),
        ..wrapped("")
    }
}

fn another_key() -> VolumeKey {
    VolumeKey::take(&mut [0x44; 32]).unwrap()
}

#[test]
fn recipients_and_a_new_key_are_signed() {
    let before = current();
    let shared = before
        .with_wrapped(wrapped_for(&["age1ours", "age1theirs"]))
        .unwrap();
    assert!(signs(SHARE, shared.clone(), Some(&before)).0);
    let before_both = shared.sign(&tenant()).unwrap();
    let left = before_both.with_wrapped(wrapped_for(&["age1theirs"])).unwrap();
    assert!(signs(UNSHARE, left, Some(&before_both)).0);
    let begun = before.with_rotation(&another_key(), wrapped("age1ours")).unwrap();
    assert!(signs(ROTATE, begun.clone(), Some(&before)).0);
    let begun = begun.sign(&tenant()).unwrap();
    assert!(signs(ROTATE, begun.without_key_before().unwrap(), Some(&begun)).0);
}

#[test]
fn a_lie_about_recipients_is_not_signed() {
    let before = current();
    let shared = |recipients: &[&str]| before.with_wrapped(wrapped_for(recipients)).unwrap();
    let lies = [
        // Somebody else, somebody more, and somebody less.
        shared(&["age1ours", "age1evil"]),
        shared(&["age1ours", "age1evil", "age1theirs"]),
        shared(&["age1theirs"]),
        // Another key.
        before
            .with_key(&another_key(), wrapped_for(&["age1ours", "age1theirs"]))
            .unwrap(),
        before
            .with_rotation(&another_key(), wrapped_for(&["age1ours", "age1theirs"]))
            .unwrap(),
        before.with_grant(grant("evil.app", true)).unwrap(),
    ];
    for lie in lies {
        let (signed, said) = signs(SHARE, lie, Some(&before));
        assert!(!signed && said.contains("nothing was signed"), "{said}");
    }
    let both = shared(&["age1ours", "age1theirs"]).sign(&tenant()).unwrap();
    for left in [&["age1ours"][..], &["age1evil"], &["age1theirs", "age1evil"]] {
        let lie = both.with_wrapped(wrapped_for(left)).unwrap();
        let (signed, said) = signs(UNSHARE, lie, Some(&both));
        assert!(!signed && said.contains("nothing was signed"), "{said}");
    }
}

#[test]
fn a_lie_about_a_new_key_is_not_signed() {
    let before = current();
    let begun = || before.with_rotation(&another_key(), wrapped("age1ours")).unwrap();
    let lies = [
        before.with_rotation(&another_key(), wrapped("age1evil")).unwrap(),
        // Without the key before, under which everything still is.
        before.with_key(&another_key(), wrapped("age1ours")).unwrap(),
        begun()
            .sign(&tenant())
            .unwrap()
            .with_grant(grant("evil.app", true))
            .unwrap(),
    ];
    for lie in lies {
        let (signed, said) = signs(ROTATE, lie, Some(&before));
        assert!(!signed && said.contains("nothing was signed"), "{said}");
    }
    let begun = begun().sign(&tenant()).unwrap();
    let more = begun.with_grant(grant("evil.app", true)).unwrap();
    assert!(!signs(ROTATE, more, Some(&begun)).0);
}

#[test]
fn a_lie_about_a_new_volume_is_not_signed() {
    let lies = [
        first(VOLUME, |new| new.grants.push(grant("evil.app", true))),
        first(VOLUME, |new| new.owner = Some(Owner { uid: 0, gid: 0 })),
        first(VOLUME, |new| new.access = Access::Shared),
        first(VOLUME, |new| new.size = "1T".parse().unwrap()),
        first(VOLUME, |new| new.name = "payments.other".parse().unwrap()),
    ];
    for lie in lies {
        let (signed, said) = signs(CREATE, lie, None);
        assert!(!signed && said.contains("nothing was signed"), "{said}");
    }
}

#[test]
fn nothing_is_signed_unseen() {
    let before = current();
    let granted = before.with_grant(grant("payments.postgres", false)).unwrap();
    let unseen = &GRANT[..GRANT.len() - 1];
    let (signed, said) = signs(unseen, granted, Some(&before));
    assert!(
        !signed && said.contains("no terminal") && said.contains("\"image\""),
        "{said}"
    );
}
