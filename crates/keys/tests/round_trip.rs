//! Keys wrapped for one and for many, and unwrapped by each of them and by nobody else.
#![expect(clippy::unwrap_used, reason = "a test that fails ends")]

mod bed;

use bed::{Drawer, bytes, drawer, host, key, recipient, secret_file};
use cofferdam_keys::{Identities, Provider, Providers, RECIPIENTS_MAX, Recipient, WrappedKey, unwrap, wrap};
use cofferdam_model::ErrorKind;

const IN_TOKEN: &str = "pkcs11:token=hsm;object=volumes";

#[test]
fn one_host_unwraps_what_was_wrapped_for_it() {
    let (host, none) = (host(), Providers::none());
    let wrapped = wrap(&key(), &[recipient(&host)], &none).unwrap();
    assert!(
        wrapped
            .as_str()
            .starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n")
    );
    assert_eq!(bytes(&unwrap(&wrapped, &host, &none).unwrap()), bytes(&key()));
    let again: WrappedKey = wrapped.to_string().parse().unwrap();
    assert_eq!(again, wrapped);
    assert_eq!(bytes(&unwrap(&again, &host, &none).unwrap()), bytes(&key()));
}

#[test]
fn a_key_is_wrapped_anew_each_time() {
    let (host, none) = (host(), Providers::none());
    let one = wrap(&key(), &[recipient(&host)], &none).unwrap();
    let other = wrap(&key(), &[recipient(&host)], &none).unwrap();
    assert_ne!(one, other);
}

#[test]
fn each_of_many_unwraps_it() {
    let none = Providers::none();
    let hosts: Vec<Identities> = (0..RECIPIENTS_MAX).map(|_| host()).collect();
    let mut recipients: Vec<Recipient> = hosts.iter().map(recipient).collect();
    let wrapped = wrap(&key(), &recipients, &none).unwrap();
    for host in &hosts {
        assert_eq!(bytes(&unwrap(&wrapped, host, &none).unwrap()), bytes(&key()));
    }
    recipients.push(recipient(&host()));
    let problem = wrap(&key(), &recipients, &none).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Invalid);
}

#[test]
fn another_host_is_told_how_it_gets_a_copy() {
    let (host, other, none) = (host(), host(), Providers::none());
    let wrapped = wrap(&key(), &[recipient(&host)], &none).unwrap();
    let problem = unwrap(&wrapped, &other, &none).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
    let share = format!("cofferdam volume share VOLUME --recipient {}", recipient(&other));
    assert!(problem.remedy.unwrap().ends_with(&share));
}

#[test]
fn no_recipient_is_refused_and_one_given_twice_counts_once() {
    let (host, none) = (host(), Providers::none());
    assert_eq!(wrap(&key(), &[], &none).unwrap_err().kind, ErrorKind::Invalid);
    let once = wrap(&key(), &[recipient(&host)], &none).unwrap();
    let often = vec![recipient(&host); RECIPIENTS_MAX * 2];
    let twice = wrap(&key(), &often, &none).unwrap();
    // age adds a stanza of random length, so the files do not have one length.
    assert!(twice.as_str().len() < once.as_str().len() + 600);
    assert_eq!(bytes(&unwrap(&twice, &host, &none).unwrap()), bytes(&key()));
}

#[test]
fn a_recovery_key_unwraps_on_a_host_that_is_no_recipient() {
    let (recovery, none) = (age::x25519::Identity::generate(), Providers::none());
    let recipients = [
        recipient(&host()),
        recovery.to_public().to_string().parse().unwrap(),
    ];
    let wrapped = wrap(&key(), &recipients, &none).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recovery");
    let secret = recovery.to_string();
    secret_file(
        &path,
        &format!(
            "# recovery\n{}\n",
            age::secrecy::ExposeSecret::expose_secret(&secret)
        ),
    );
    let identities = host().with_file(&path).unwrap();
    assert_eq!(
        bytes(&unwrap(&wrapped, &identities, &none).unwrap()),
        bytes(&key())
    );
}

#[test]
fn a_provider_unwraps_its_copy() {
    let (host, other, drawer) = (host(), host(), drawer());
    let recipients = [recipient(&host), IN_TOKEN.parse().unwrap()];
    let wrapped = wrap(&key(), &recipients, &drawer).unwrap();
    for identities in [&host, &other] {
        assert_eq!(
            bytes(&unwrap(&wrapped, identities, &drawer).unwrap()),
            bytes(&key())
        );
    }
    // The host's own copy needs no provider; without either there is none.
    assert_eq!(
        bytes(&unwrap(&wrapped, &host, &Providers::none()).unwrap()),
        bytes(&key())
    );
    let problem = unwrap(&wrapped, &other, &Providers::none()).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
    // Another provider of this scheme knows nothing of it.
    let problem = unwrap(&wrapped, &other, &self::drawer()).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
}

#[test]
fn a_provider_that_fails_is_told_of_only_where_nothing_else_opens() {
    let (host, other) = (host(), host());
    let recipients = [recipient(&host), IN_TOKEN.parse().unwrap()];
    let wrapped = wrap(&key(), &recipients, &drawer()).unwrap();
    let stuck = Drawer {
        stuck: true,
        ..Drawer::default()
    };
    let stuck = Providers::none().with(Box::new(stuck)).unwrap();
    assert_eq!(bytes(&unwrap(&wrapped, &host, &stuck).unwrap()), bytes(&key()));
    let problem = unwrap(&wrapped, &other, &stuck).unwrap_err();
    assert_eq!(problem.message, "the drawer is stuck");
}

#[test]
fn a_recipient_without_its_provider_is_refused() {
    let recipients = [recipient(&host()), IN_TOKEN.parse().unwrap()];
    let problem = wrap(&key(), &recipients, &Providers::none()).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Missing);
    assert!(problem.message.contains(IN_TOKEN) && problem.remedy.is_some());
    let twice = drawer().with(Box::new(Drawer::default()));
    assert_eq!(twice.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(Drawer::default().scheme(), "pkcs11");
}

#[test]
fn keys_in_hardware_get_copies_and_stand_where_they_may() {
    let none = Providers::none();
    let tag: Recipient = "age1tag1qd43050juykyy3lchnnw2caygre8wqmasyk7kvaq7jsnj3wcnrpfvt5hxye"
        .parse()
        .unwrap();
    let point = "ydvtaruhp93py079uumjk8fzq7fmsxlvp9h4n8g855yu5tkycc2tylc6zutlp5lum3mn7kjnup70pv27wxdtkkv27em9mvsrgx7l4rag8q3agq";
    let tagpq: Recipient = format!("age1tagpq1{}{point}", "q".repeat(1895)).parse().unwrap();
    let host = host();
    let wrapped = wrap(&key(), &[recipient(&host), tag.clone()], &none).unwrap();
    assert_eq!(bytes(&unwrap(&wrapped, &host, &none).unwrap()), bytes(&key()));
    assert!(wrap(&key(), std::slice::from_ref(&tagpq), &none).is_ok());
    for beside in [recipient(&host), tag] {
        let problem = wrap(&key(), &[beside, tagpq.clone()], &none).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Invalid);
        assert!(problem.remedy.unwrap().contains("age1tagpq1"));
    }
}
