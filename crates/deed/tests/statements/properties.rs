//! Random deeds and tickets: what is written is read, and a deed permits exactly what it grants.

use crate::fixture::*;
use cofferdam_deed::{
    Deed, DeedGrant, Draft, Filesystem, NewDeed, NewTicket, SignedTicket, Ticket, TicketId, WrappedFor, open,
};
use cofferdam_model::{
    Access, AppName, ByteSize, Command, LaunchRule, NetworkRule, Owner, Sha256, UserRule, VolumeId,
    VolumeName,
};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9_-]{0,8}\\.[a-z0-9][a-z0-9_-]{0,8}"
}

fn app_name() -> impl Strategy<Value = AppName> {
    name().prop_map(|name| name.parse().unwrap())
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000, 0_i32..1_000_000_000)
        .prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn owner() -> impl Strategy<Value = Owner> {
    (any::<u32>(), any::<u32>()).prop_map(|(uid, gid)| Owner { uid, gid })
}

fn any_rule() -> impl Strategy<Value = LaunchRule> {
    let command = prop_oneof![
        Just(Command::Image),
        vec(any::<String>(), 0..3).prop_map(Command::Exactly)
    ];
    let user = prop_oneof![Just(UserRule::Any), owner().prop_map(UserRule::Exactly)];
    let network = prop_oneof![
        Just(NetworkRule::Own),
        Just(NetworkRule::Host),
        Just(NetworkRule::Any)
    ];
    let cwd = proptest::option::of(any::<String>());
    let texts = || btree_set(any::<String>(), 0..3);
    (
        any::<[u8; 32]>(),
        command,
        user,
        cwd,
        network,
        [texts(), texts(), texts()],
        proptest::option::of(vec(any::<String>(), 0..3)),
        (any::<[bool; 2]>(), btree_set(any::<u32>(), 0..3)),
    )
        .prop_map(
            |(
                image,
                command,
                user,
                cwd,
                network,
                [mounts, env, changed],
                healthcheck,
                ([ticket, no_new_privileges], groups),
            )| {
                LaunchRule {
                    image: Sha256::from_bytes(image),
                    command,
                    user,
                    cwd,
                    network,
                    mounts,
                    env,
                    groups,
                    changed,
                    allow: [].into(),
                    healthcheck,
                    no_new_privileges,
                    ticket,
                }
            },
        )
}

fn any_grant() -> impl Strategy<Value = DeedGrant> {
    (
        app_name(),
        any_rule(),
        any::<(bool, bool)>(),
        proptest::option::of(instant()),
    )
        .prop_map(|(app, rule, (write, exec), until)| DeedGrant {
            app,
            rule,
            write,
            exec,
            until,
        })
}

fn any_deed() -> impl Strategy<Value = NewDeed> {
    let shared = any::<bool>().prop_map(|shared| if shared { Access::Shared } else { Access::Exclusive });
    let grants = vec(any_grant(), 0..5).prop_map(|mut grants| {
        grants.sort_by_key(|grant| grant.app.to_string());
        grants.dedup_by_key(|grant| grant.app.clone());
        grants
    });
    (
        any::<u128>(),
        name(),
        instant(),
        1..u64::MAX,
        shared,
        proptest::option::of(owner()),
        grants,
    )
        .prop_map(|(volume, name, created, size, access, owner, grants)| NewDeed {
            volume: VolumeId::from_bits(volume),
            name: name.parse::<VolumeName>().unwrap(),
            created,
            size: ByteSize::bytes(size),
            filesystem: Filesystem::Ext4,
            access,
            owner,
            grants,
        })
}

fn any_wrapped() -> impl Strategy<Value = WrappedFor> {
    (btree_set("[ -~]{1,40}", 1..4), "(?s).{1,200}").prop_map(|(recipients, wrapped)| WrappedFor {
        recipients: recipients.into_iter().collect(),
        wrapped,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn deeds_are_read_as_they_were_written(new in any_deed(), wrapped in any_wrapped(), seed in any::<u8>(), grant in any_grant()) {
        let tenant = key(seed);
        let volume_key = volume_key();
        let deed = Deed::first(new.clone(), &tenant.verifying(), &volume_key, wrapped.clone()).unwrap();
        let signed = deed.clone().sign(&tenant).unwrap();
        let mut known = expected(&new.volume);
        for pinned in [None, Some(tenant.verifying())] {
            known.tenant_key = pinned;
            prop_assert_eq!(&open(signed.bytes(), &known).unwrap(), &signed);
        }
        prop_assert_eq!(signed.deed(), &deed);
        prop_assert_eq!((signed.volume(), signed.name()), (&new.volume, &new.name));
        prop_assert_eq!((signed.created(), signed.size()), (new.created, new.size));
        prop_assert_eq!((signed.access(), signed.owner()), (new.access, new.owner));
        prop_assert_eq!(signed.grants(), &new.grants[..]);
        prop_assert_eq!(signed.recipients(), &wrapped.recipients[..]);
        prop_assert_eq!(signed.wrapped(), &wrapped.wrapped);
        prop_assert_eq!(signed.filesystem(), Filesystem::Ext4);
        signed.confirm(&volume_key).unwrap();

        // There and back again.
        let there = signed.with_grant(grant.clone()).unwrap();
        let draft = Draft::of(there.clone()).unwrap();
        prop_assert_eq!(Draft::parse(draft.bytes()).unwrap(), draft);
        let there = there.sign(&tenant).unwrap();
        known.seen = Some((1, *signed.digest()));
        let there = open(there.bytes(), &known).unwrap();
        prop_assert!(there.grants().contains(&grant));
        let back = there.without_grant(&grant.app).unwrap();
        prop_assert!(back.grants().iter().all(|held| held.app != grant.app));
    }

    #[test]
    fn a_deed_permits_exactly_what_it_grants(
        new in any_deed(),
        asked in any_grant(),
        (which, same_rule) in any::<(usize, bool)>(),
        now in instant(),
        near in any::<bool>(),
    ) {
        let deed = Deed::first(new, &tenant().verifying(), &volume_key(), wrapped()).unwrap();
        let deed = deed.sign(&tenant()).unwrap().confirm(&volume_key()).unwrap();
        let held = deed.grants().get(which % 6);
        // Mostly one that is granted, and now and then just when it ends.
        let app = held.map_or(&asked.app, |grant| &grant.app);
        let rule = held.filter(|_| same_rule).map_or(&asked.rule, |grant| &grant.rule);
        let now = held.and_then(|grant| grant.until).filter(|_| near).unwrap_or(now);
        let granted = deed.grants().iter().any(|grant| {
            grant.app == *app
                && grant.rule == *rule
                && (grant.write || !asked.write)
                && (grant.exec || !asked.exec)
                && grant.until.is_none_or(|until| now < until)
        });
        let permitted = deed.permits(app, rule, asked.write, asked.exec, now);
        prop_assert_eq!(permitted.is_ok(), granted, "{:?}", permitted);
    }

    #[test]
    fn tickets_hold_exactly_for_their_launch(
        (id, once) in any::<(u128, bool)>(),
        app in app_name(),
        image in any::<[u8; 32]>(),
        issued in instant(),
        life in 1..366_i64 * 86_400,
        host in proptest::option::of("[!-~]{1,60}"),
        (other_app, other_image, other_host) in any::<(bool, bool, bool)>(),
        after in -120..366_i64 * 86_400,
    ) {
        let new = NewTicket {
            id: TicketId::from_bits(id),
            app: app.clone(),
            image: Sha256::from_bytes(image),
            issued,
            until: issued + SignedDuration::from_secs(life),
            host: host.clone(),
            once,
        };
        let ticket = Ticket::new(new).unwrap().sign(&tenant()).unwrap();
        let read = SignedTicket::parse(ticket.text()).unwrap();
        prop_assert_eq!(&read, &ticket);
        let asked: AppName = if other_app { "other.app".parse().unwrap() } else { app };
        let image = if other_image { Sha256::from_bytes([0; 32]) } else { Sha256::from_bytes(image) };
        let here = host.as_deref().filter(|_| !other_host).unwrap_or("");
        let now = issued + SignedDuration::from_secs(after);
        let holds = !other_app
            && !other_image
            && (host.is_none() || !other_host)
            && (-60..life).contains(&after);
        let verified = read.check(&tenant().verifying(), &asked, &image, &[here], now);
        prop_assert_eq!(verified.is_ok(), holds, "{:?}", verified);
    }
}
