#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::update::message::Update;
use proptest::prelude::*;

const WALL: u64 = 1_795_000_000;

fn key() -> Key {
    Key::new("ddns.example".parse().unwrap(), b"thirty-two octets of a secret...")
}

fn request() -> Vec<u8> {
    Update::new(7, &"example.org".parse().unwrap()).finish()
}

/// An answer as a server signs it: the request's signature goes in first (RFC 8945 section 5.3).
fn answer(request: &[u8; MAC], time: u64, error: u16, with: &Key) -> Vec<u8> {
    let mut message = request_answered();
    let mut context = hmac::Context::with_key(&with.secret);
    context.update(&(MAC as u16).to_be_bytes());
    context.update(request);
    context.update(&message);
    context.update(&with.variables(time, FUDGE, error, &[]));
    let mac = context.sign();
    let mut data = ALGORITHM.to_vec();
    data.extend(&time.to_be_bytes()[2..]);
    data.extend(FUDGE.to_be_bytes());
    data.extend((MAC as u16).to_be_bytes());
    data.extend(mac.as_ref());
    data.extend([0, 7]);
    data.extend(error.to_be_bytes());
    data.extend([0, 0]);
    push_record(&mut message, with.name.as_bytes(), TSIG, ANY, 0, &data);
    add_to_arcount(&mut message, 1);
    message
}

fn request_answered() -> Vec<u8> {
    let mut message = request();
    message[2] |= 0x80;
    message
}

#[test]
fn only_the_servers_answer_of_now_is_believed() {
    let key = key();
    let mac = key.sign(&mut request(), WALL);
    assert_eq!(key.verify(&answer(&mac, WALL, 0, &key), &mac, WALL), Ok(()));
    assert_eq!(key.verify(&answer(&mac, WALL + 300, 0, &key), &mac, WALL), Ok(()));
    assert_eq!(key.verify(&answer(&mac, WALL + 301, 0, &key), &mac, WALL), Err(Refused::Time));
    assert_eq!(key.verify(&answer(&mac, WALL - 301, 0, &key), &mac, WALL), Err(Refused::Time));
    assert_eq!(key.verify(&answer(&mac, WALL + 9_999, 18, &key), &mac, WALL), Err(Refused::Error(18)));
    assert_eq!(key.verify(&answer(&[1; MAC], WALL, 0, &key), &mac, WALL), Err(Refused::Signature));
    let other = Key::new("ddns.example".parse().unwrap(), b"another secret");
    assert_eq!(key.verify(&answer(&mac, WALL, 0, &other), &mac, WALL), Err(Refused::Signature));
    let named = Key::new("other.example".parse().unwrap(), b"thirty-two octets of a secret...");
    assert_eq!(key.verify(&answer(&mac, WALL, 0, &named), &mac, WALL), Err(Refused::OtherKey));
    assert_eq!(key.verify(&request_answered(), &mac, WALL), Err(Refused::Unsigned));
    let mut changed = answer(&mac, WALL, 0, &key);
    changed[3] = 5;
    assert_eq!(key.verify(&changed, &mac, WALL), Err(Refused::Signature));
}

#[test]
fn key_files_as_tsig_keygen_writes_them() {
    let text = "# a key\nkey \"ddns.example\" {\n\talgorithm hmac-sha256;\n\tsecret \"AAECAwQFBgcICQoLDA0ODw==\"; // x\n};\n";
    let key = Key::parse(text).unwrap();
    assert_eq!(key.name().to_string(), "ddns.example");
    assert_eq!(key, Key::new("ddns.example".parse().unwrap(), &(0..16).collect::<Vec<u8>>()));
    for (text, error) in [
        ("", KeyError::Form),
        ("key x { algorithm hmac-sha256; }", KeyError::Form),
        ("key \"a b\" { algorithm hmac-sha256; secret \"AAECAwQFBgcICQoLDA0ODw==\"; };", KeyError::Name),
        ("key x { algorithm hmac-md5; secret \"AAECAwQFBgcICQoLDA0ODw==\"; };", KeyError::Algorithm),
        ("key x { algorithm hmac-sha256; secret \"AAECAw=\"; };", KeyError::Secret),
        ("key x { algorithm hmac-sha256; secret \"*AECAw==\"; };", KeyError::Secret),
        ("key x { algorithm hmac-sha256; secret \"AAECAw==\"; };", KeyError::Short),
    ] {
        assert_eq!(Key::parse(text).unwrap_err(), error, "{text}");
    }
    // No secret in what people paste into a report.
    assert_eq!(format!("{key:?}"), "Key(ddns.example)");
}

#[test]
fn base64_of_rfc_4648() {
    for (text, octets) in [
        ("", &b""[..]),
        ("Zg==", b"f"),
        ("Zm8=", b"fo"),
        ("Zm9v", b"foo"),
        ("Zm9vYg==", b"foob"),
        ("Zm9vYmE=", b"fooba"),
        ("Zm9vYmFy", b"foobar"),
    ] {
        assert_eq!(base64(text).unwrap(), octets);
    }
}

proptest! {
    /// Whatever comes, nothing but the true answer is believed, and nothing panics.
    #[test]
    fn mutilated_answers_are_refused(at in 0_usize..200, octet: u8, cut in 0_usize..200, tail: Vec<u8>) {
        let key = key();
        let mac = key.sign(&mut request(), WALL);
        let whole = answer(&mac, WALL, 0, &key);
        let mut changed = whole.clone();
        if let Some(there) = changed.get_mut(at) {
            *there = octet;
        }
        // Letters of names mean the same in either case.
        let same = changed == whole || changed.eq_ignore_ascii_case(&whole) && key.verify(&changed, &mac, WALL).is_ok();
        prop_assert!(same || key.verify(&changed, &mac, WALL).is_err());
        if cut < whole.len() {
            prop_assert!(key.verify(&whole[..cut], &mac, WALL).is_err());
        }
        if !tail.is_empty() {
            prop_assert!(key.verify(&[whole, tail].concat(), &mac, WALL).is_err());
        }
    }

    #[test]
    fn any_octets_can_be_looked_at(bytes: Vec<u8>) {
        let _ = key().verify(&bytes, &[0; MAC], WALL);
    }
}
