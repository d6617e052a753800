//! Two tenants, a volume, an app, and documents as anybody could write them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::{
    Deed, DeedGrant, Expected, Filesystem, KeyId, NewDeed, NewTicket, SignedDeed, Ticket, TicketId,
    WrappedFor,
};
use cofferdam_model::{
    Access, AppName, ByteSize, Command, ErrorKind, LaunchRule, NetworkRule, Owner, Problem, Sha256, UserRule,
    VolumeId,
};
use cofferdam_vault::{SigningKey, VolumeKey};
use jiff::Timestamp;

pub(crate) const DEED_TYPE: &str = "application/vnd.cofferdam.deed+json";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::take(&mut [seed; 32]).unwrap()
}

/// The key of the tenant `payments`.
pub(crate) fn tenant() -> SigningKey {
    key(0x11)
}

/// That of somebody else.
pub(crate) fn stranger() -> SigningKey {
    key(0x22)
}

pub(crate) fn volume_key() -> VolumeKey {
    VolumeKey::take(&mut [0x33; 32]).unwrap()
}

pub(crate) fn volume() -> VolumeId {
    VolumeId::from_bits(0x8081_8283_8485_8687_8889_8a8b_8c8d_8e8f)
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn now() -> Timestamp {
    time("2026-11-26T12:00:00Z")
}

pub(crate) fn app(name: &str) -> AppName {
    name.parse().unwrap()
}

pub(crate) fn image(byte: u8) -> Sha256 {
    Sha256::from_bytes([byte; 32])
}

pub(crate) fn rule() -> LaunchRule {
    LaunchRule {
        image: image(0xaa),
        command: Command::Exactly(vec!["postgres".into(), "-c".into(), "shared_buffers=1GB".into()]),
        user: UserRule::Exactly(Owner { uid: 999, gid: 999 }),
        cwd: Some("/srv".into()),
        network: NetworkRule::Own,
        mounts: ["/etc/postgres".to_owned()].into(),
        env: [].into(),
        groups: Default::default(),
        changed: [].into(),
        allow: ["cap:NET_ADMIN".parse().unwrap()].into(),
        healthcheck: None,
        no_new_privileges: false,
        ticket: false,
    }
}

/// The rule of an app that is just an image.
pub(crate) fn plain_rule() -> LaunchRule {
    LaunchRule {
        image: image(0xbb),
        command: Command::Image,
        user: UserRule::Any,
        cwd: None,
        network: NetworkRule::Own,
        mounts: [].into(),
        env: [].into(),
        groups: Default::default(),
        changed: [].into(),
        allow: [].into(),
        healthcheck: None,
        no_new_privileges: false,
        ticket: false,
    }
}

/// `payments.postgres` may do all, `payments.web` only read, and that until the end of the year.
pub(crate) fn grants() -> Vec<DeedGrant> {
    vec![
        DeedGrant {
            app: app("payments.web"),
            rule: plain_rule(),
            write: false,
            exec: false,
            until: Some(time("2026-12-31T23:59:59Z")),
        },
        DeedGrant {
            app: app("payments.postgres"),
            rule: rule(),
            write: true,
            exec: true,
            until: None,
        },
    ]
}

pub(crate) fn wrapped() -> WrappedFor {
    WrappedFor {
        recipients: vec!["age1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0jqgfzyvjzf".into()],
        wrapped: "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3Yx\n-----END AGE ENCRYPTED FILE-----\n"
            .into(),
    }
}

pub(crate) fn new_deed() -> NewDeed {
    NewDeed {
        volume: volume(),
        name: "payments.pgdata".parse().unwrap(),
        created: time("2026-11-01T08:30:00.25Z"),
        size: "10G".parse::<ByteSize>().unwrap(),
        filesystem: Filesystem::Ext4,
        access: Access::Exclusive,
        owner: Some(Owner { uid: 999, gid: 999 }),
        grants: grants(),
    }
}

pub(crate) fn first(new: NewDeed) -> Deed {
    Deed::first(new, &tenant().verifying(), &volume_key(), wrapped()).unwrap()
}

/// Version 1.
pub(crate) fn signed() -> SignedDeed {
    first(new_deed()).sign(&tenant()).unwrap()
}

/// What a registry knows that has pinned the tenant's key and seen no deed.
pub(crate) fn expected(volume: &VolumeId) -> Expected<'_> {
    Expected {
        volume,
        tenant_key: Some(tenant().verifying()),
        seen: None,
    }
}

pub(crate) fn new_ticket() -> NewTicket {
    NewTicket {
        id: TicketId::from_bits(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f),
        app: app("payments.postgres"),
        image: image(0xaa),
        issued: time("2026-11-26T11:59:00Z"),
        until: time("2026-11-27T12:00:00Z"),
        host: Some("alpha".into()),
        once: true,
    }
}

pub(crate) fn ticket() -> Ticket {
    Ticket::new(new_ticket()).unwrap()
}

/// An envelope in the one form, written without the crate's help: what a holder of the key can make of any bytes.
pub(crate) fn envelope(payload_type: &str, payload: &[u8], keys: &[&SigningKey]) -> String {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    let message = [head.as_bytes(), payload].concat();
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| {
            let (id, signature) = (KeyId::of(&key.verifying()), STANDARD.encode(key.sign(&message)));
            format!(r#"{{"keyid":"{id}","sig":"{signature}"}}"#)
        })
        .collect();
    format!(
        r#"{{"payloadType":"{payload_type}","payload":"{}","signatures":[{}]}}"#,
        STANDARD.encode(payload),
        signatures.join(",")
    )
}

/// The text of a payload, which is what the fixture writes too.
pub(crate) fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).unwrap()
}

/// That something was refused in this way, with all these words.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Problem>, kind: ErrorKind, words: &[&str]) {
    let Err(problem) = result else {
        panic!("nothing was refused, though it should be with {words:?}");
    };
    let told = problem.to_string();
    assert_eq!(problem.kind, kind, "{told}");
    for word in words {
        assert!(told.contains(word), "{told:?} lacks {word:?}");
    }
}
