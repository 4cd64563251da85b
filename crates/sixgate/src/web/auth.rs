//! Who may look and who may change things: a token, and sessions of browsers that have shown it.

use sixgate_endpoint::Endpoint;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, Permissions};
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the token's file in the state folder.
pub(crate) const TOKEN: &str = "web-token";
/// Digits that nobody takes for others (Crockford's base 32): 5 bits each.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits of a token: 100 bits, in groups that a person can type.
const LENGTH: usize = 20;
const GROUP: usize = 5;
/// Sessions at one time; for one more, the oldest ends.
const MOST_SESSIONS: usize = 32;
/// How long a session lasts.
pub(super) const SESSION: Duration = Duration::from_hours(12);
/// Wrong tokens from one address in one [`WINDOW`], before it is not listened to until that is over.
const MOST_WRONG: u32 = 5;
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are remembered for wrong tokens; for one more, the oldest is forgotten. Whoever has many addresses may try more
/// often, which for 100 bits makes no difference.
const MOST_REMEMBERED: usize = 256;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the dashboard's token {}: {source}", path.display())]
pub(crate) struct TokenError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The token kept in `folder`, made at the first start; readable by its owner alone.
pub(crate) fn token(folder: &Path) -> Result<String, TokenError> {
    let path = folder.join(TOKEN);
    let failed = |action| {
        let path = path.clone();
        move |source| TokenError { action, path, source }
    };
    if let Some(token) = read(folder)? {
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed("close"))?;
        return Ok(token);
    }
    let made = make().map_err(failed("make"))?;
    // Never readable by others, not even for a moment. One that an earlier run left half-written was removed when the folder was taken.
    let unfinished = folder.join(format!("{TOKEN}.unfinished"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| writeln!(file, "{made}").and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&unfinished, &path));
    written.map_err(failed("write"))?;
    Ok(made)
}

/// The token kept in `folder`, where there is one that can be one.
pub(crate) fn read(folder: &Path) -> Result<Option<String>, TokenError> {
    let path = folder.join(TOKEN);
    match std::fs::read_to_string(&path) {
        Ok(text) if plain(&text).len() >= LENGTH => Ok(Some(text.trim().to_owned())),
        // Emptied, or cut short: as good as none.
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenError { action: "read", path, source }),
    }
}

fn make() -> io::Result<String> {
    let octets = random::<LENGTH>(&mut File::open("/dev/urandom")?)?;
    let digits = octets.map(|octet| DIGITS.get(usize::from(octet & 31)).copied().unwrap_or(b'0'));
    let groups: Vec<&str> =
        digits.chunks(GROUP).map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    Ok(groups.join("-"))
}

/// Octets that nobody can guess.
pub(crate) fn random<const N: usize>(source: &mut File) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    source.read_exact(&mut octets)?;
    Ok(octets)
}

/// A token without what is there for people: hyphens, spaces, capitals.
fn plain(token: &str) -> String {
    token.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether two are the same, in a time that does not tell where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| black_box(differ | (a ^ b)));
    a.len() == b.len() && black_box(differ) == 0
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Too many wrong ones came from there: this one was not looked at.
    Wait,
}

/// The token, and who has shown it.
#[derive(Debug)]
pub(super) struct Keys {
    token: String,
    source: File,
    sessions: Vec<(String, Instant)>,
    wrong: HashMap<Endpoint, (Instant, u32)>,
}

impl Keys {
    pub(super) fn new(token: &str) -> io::Result<Self> {
        let source = File::open("/dev/urandom")?;
        Ok(Self { token: plain(token), source, sessions: Vec::new(), wrong: HashMap::new() })
    }

    /// Looks at a token that came from `peer`.
    pub(super) fn check(&mut self, now: Instant, peer: Endpoint, token: &str) -> Verdict {
        self.wrong.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        let peer = peer.without_port();
        if self.wrong.get(&peer).is_some_and(|(_, count)| *count >= MOST_WRONG) {
            return Verdict::Wait;
        }
        if same(plain(token).as_bytes(), self.token.as_bytes()) {
            return Verdict::Right;
        }
        if self.wrong.len() >= MOST_REMEMBERED
            && !self.wrong.contains_key(&peer)
            && let Some(oldest) =
                self.wrong.iter().min_by_key(|(_, (since, _))| *since).map(|(peer, _)| *peer)
        {
            self.wrong.remove(&oldest);
        }
        self.wrong.entry(peer).or_insert((now, 0)).1 += 1;
        Verdict::Wrong
    }

    /// Begins a session; what its cookie holds. None where the system gives no random number.
    pub(super) fn open(&mut self, now: Instant) -> Option<String> {
        let octets = random::<16>(&mut self.source).ok()?;
        let id = format!("{:032x}", u128::from_be_bytes(octets));
        self.sessions.retain(|(_, since)| now.duration_since(*since) < SESSION);
        if self.sessions.len() >= MOST_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push((id.clone(), now));
        Some(id)
    }

    /// Whether a cookie is that of a session.
    pub(super) fn is_open(&self, now: Instant, id: &str) -> bool {
        self.sessions.iter().fold(false, |found, (known, since)| {
            found | (same(known.as_bytes(), id.as_bytes()) && now.duration_since(*since) < SESSION)
        })
    }

    /// Ends a session.
    pub(super) fn close(&mut self, id: &str) {
        self.sessions.retain(|(known, _)| !same(known.as_bytes(), id.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new("ABCDE-fghjk-mnpqr-stvwx").unwrap()
    }

    #[test]
    fn a_token_is_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let made = token(folder.path()).unwrap();
        assert_eq!((made.len(), plain(&made).len()), (23, 20), "{made}");
        let path = folder.path().join(TOKEN);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(token(folder.path()).unwrap(), made);
        assert_eq!(mode(&path), 0o600);
        std::fs::write(&path, "short\n").unwrap();
        assert_ne!(token(folder.path()).unwrap(), made);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn people_type_tokens_as_they_like() {
        let (mut keys, now, peer) = (keys(), Instant::now(), "2001:db8::1".parse().unwrap());
        for (text, verdict) in [
            ("abcde-fghjk-mnpqr-stvwx", Verdict::Right),
            (" Abcdefghjkmnpqrstvwx\n", Verdict::Right),
            ("", Verdict::Wrong),
            ("abcde-fghjk-mnpqr-stvw", Verdict::Wrong),
            ("abcde-fghjk-mnpqr-stvwxy", Verdict::Wrong),
        ] {
            assert_eq!(keys.check(now, peer, text), verdict, "{text:?}");
        }
    }

    #[test]
    fn guessing_is_slow_and_remembered_in_bounds() {
        let (mut keys, now) = (keys(), Instant::now());
        let right = "abcde-fghjk-mnpqr-stvwx";
        let peer: Endpoint = "[2001:db8::1]:1".parse().unwrap();
        for _ in 0..MOST_WRONG {
            assert_eq!(keys.check(now, peer, "wrong"), Verdict::Wrong);
        }
        let other_port: Endpoint = "[2001:db8::1]:2".parse().unwrap();
        assert_eq!(keys.check(now, other_port, right), Verdict::Wait, "not even the right one");
        assert_eq!(
            keys.check(now, "2001:db8::2".parse().unwrap(), right),
            Verdict::Right,
            "others are not locked out"
        );
        assert_eq!(keys.check(now + WINDOW, peer, right), Verdict::Right);
        for host in 0..1000_u32 {
            keys.check(now, Endpoint::new(std::net::Ipv6Addr::from(u128::from(host))), "wrong");
        }
        assert_eq!(keys.wrong.len(), MOST_REMEMBERED);
    }

    #[test]
    fn sessions_end() {
        let (mut keys, now) = (keys(), Instant::now());
        let first = keys.open(now).unwrap();
        assert!(keys.is_open(now, &first) && !keys.is_open(now, "") && !keys.is_open(now, &first[1..]));
        assert!(!keys.is_open(now + SESSION, &first));
        let second = keys.open(now).unwrap();
        keys.close(&second);
        assert!(!keys.is_open(now, &second) && keys.is_open(now, &first));
        for _ in 0..MOST_SESSIONS {
            keys.open(now).unwrap();
        }
        assert!(!keys.is_open(now, &first), "the oldest makes room");
    }
}
