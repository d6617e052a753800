//! What is done with a token, in whose directory this runs.

use super::*;
use cofferdam_keys::FileKey;

fn provider() -> Pkcs11 {
    of("The Token", "pin")
}

fn of(token: &str, pin_file: &str) -> Pkcs11 {
    Pkcs11::new(Pkcs11Settings {
        module: module(),
        token: token.to_owned(),
        pin_file: pin_file.into(),
    })
}

fn named(object: &str) -> Recipient {
    format!("pkcs11:token=The%20Token;object={object}")
        .parse()
        .unwrap()
}

fn providers(provider: Pkcs11) -> Providers {
    Providers::none().with(Box::new(provider)).unwrap()
}

fn file_key() -> FileKey {
    FileKey::take(&mut std::array::from_fn(|index| index as u8 * 3)).unwrap()
}

#[test]
#[ignore = "run by a_key_in_a_token_wraps_and_unwraps"]
fn it_wraps_and_unwraps() {
    let provider = provider();
    provider.make_key(&named("volumes")).unwrap();
    let again = provider.make_key(&named("volumes")).unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    let (host, other, providers) = (host(), host(), providers(provider));
    let wrapped = wrap(&key(), &[recipient(&host), named("volumes")], &providers).unwrap();
    for identities in [&host, &other] {
        assert_eq!(
            bytes(&unwrap(&wrapped, identities, &providers).unwrap()),
            bytes(&key())
        );
    }
    let problem = unwrap(&wrapped, &other, &Providers::none()).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
    // In another process it would be another provider.
    let later = self::providers(self::provider());
    assert_eq!(bytes(&unwrap(&wrapped, &other, &later).unwrap()), bytes(&key()));
}

#[test]
#[ignore = "run by a_copy_that_was_changed_does_not_verify"]
fn every_byte_of_a_copy_counts() {
    let provider = provider();
    provider.make_key(&named("volumes")).unwrap();
    let copy = provider.wrap(KEY, &file_key()).unwrap();
    assert_eq!(copy.len(), 45);
    let whole = provider.unwrap(KEY, &copy).unwrap().unwrap();
    assert_eq!(whole.as_bytes(), file_key().as_bytes());
    for place in 0..copy.len() {
        let mut copy = copy.clone();
        copy[place] ^= 1;
        let problem = provider.unwrap(KEY, &copy).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Corrupt, "byte {place}: {problem}");
    }
    for length in 0..copy.len() {
        let problem = provider.unwrap(KEY, &copy[..length]).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Corrupt, "{length} bytes: {problem}");
    }
    assert_ne!(
        provider.wrap(KEY, &file_key()).unwrap(),
        copy,
        "a nonce was used twice"
    );
}

#[test]
#[ignore = "run by a_copy_is_bound_to_its_reference_and_its_key"]
fn a_copy_is_bound() {
    let provider = provider();
    for object in ["volumes", "others"] {
        provider.make_key(&named(object)).unwrap();
    }
    let copy = provider.wrap(KEY, &file_key()).unwrap();
    let problem = provider.unwrap(named("others").as_str(), &copy).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Corrupt, "{problem}");
    // The same key under another label: only the reference differs.
    let another = rename("volumes", "renamed");
    let problem = provider.unwrap(another.as_str(), &copy).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Corrupt, "{problem}");
    // A reference to another token is not even tried.
    let elsewhere = "pkcs11:token=Another;object=volumes";
    assert!(provider.unwrap(elsewhere, &copy).unwrap().is_none());
    assert_eq!(
        provider.wrap(elsewhere, &file_key()).unwrap_err().kind,
        ErrorKind::Missing
    );
}

/// Gives a key another label, by the standard's own means.
fn rename(from: &str, to: &str) -> Recipient {
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Library};
    use cryptoki::object::Attribute;
    use cryptoki::session::UserType;
    let library = Library::new(module()).unwrap();
    // The provider has done this already.
    assert!(
        library
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .is_err()
    );
    let mut slots = library.get_slots_with_token().unwrap().into_iter();
    let slot = slots
        .find(|slot| library.get_token_info(*slot).unwrap().label() == "The Token")
        .unwrap();
    let session = library.open_rw_session(slot).unwrap();
    session
        .login(UserType::User, Some(&cryptoki::types::AuthPin::new(PIN.into())))
        .unwrap();
    let found = session
        .find_objects(&[Attribute::Label(from.as_bytes().to_vec())])
        .unwrap();
    session
        .update_attributes(found[0], &[Attribute::Label(to.as_bytes().to_vec())])
        .unwrap();
    named(to)
}

#[test]
#[ignore = "run by a_wrong_pin_is_tried_once"]
fn a_wrong_pin_is_tried_once() {
    secret_file(Path::new("wrong"), "000000\n");
    let wrong = of("The Token", "wrong");
    let problem = wrong.make_key(&named("volumes")).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
    assert!(problem.message.contains("PIN"), "{problem}");
    // Even the right PIN is not tried by this one any more.
    secret_file(Path::new("wrong"), &format!("{PIN}\n"));
    let problem = wrong.make_key(&named("volumes")).unwrap_err();
    assert!(problem.message.starts_with("not tried again"), "{problem}");
    of("The Token", "wrong").make_key(&named("volumes")).unwrap();

    std::fs::set_permissions("wrong", std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let problem = of("The Token", "wrong").make_key(&named("more")).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
    for text in ["", "\n", "1\n2\n"] {
        secret_file(Path::new("odd"), text);
        let problem = of("The Token", "odd").make_key(&named("more")).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Invalid, "{problem}");
    }
}

#[test]
#[ignore = "run by what_is_missing_is_named"]
fn what_is_missing_is_named() {
    let provider = provider();
    let problem = provider.wrap(KEY, &file_key()).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Missing);
    assert!(problem.message.contains("no AES key volumes"), "{problem}");
    let absent = of("Absent", "pin").make_key(&"pkcs11:token=Absent;object=k".parse().unwrap());
    let problem = absent.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Missing);
    assert!(problem.message.contains("no token Absent"), "{problem}");
    let problem = of("The Token", "nowhere")
        .make_key(&named("volumes"))
        .unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Missing);
    assert!(problem.message.contains("PIN file nowhere"), "{problem}");
}

#[test]
#[ignore = "run by threads_do_not_disturb_each_other"]
fn threads_do_not_disturb_each_other() {
    let provider = provider();
    provider.make_key(&named("volumes")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let copy = provider.wrap(KEY, &file_key()).unwrap();
                    let opened = provider.unwrap(KEY, &copy).unwrap().unwrap();
                    assert_eq!(opened.as_bytes(), file_key().as_bytes());
                }
            });
        }
    });
}
