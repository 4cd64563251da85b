//! DHCPv4 options as views over the bytes they came in.

use super::{Form, OptionCode};
use crate::WireError;
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// The options of a message. They stand in up to three places: the options field, and `file` and `sname`
/// where the option Overload says so (RFC 2132 section 9.3). An option may come in several pieces (RFC 3396),
/// which count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    /// In the order in which RFC 3396 section 5 puts them together.
    fields: [&'a [u8]; 3],
}

impl<'a> Options<'a> {
    /// Checks the lengths of the options behind the cookie, and of those in `file` and `sname` if these hold
    /// options.
    ///
    /// # Errors
    /// [`WireError::Truncated`] where an option overruns its field.
    pub fn parse(options: &'a [u8], file: &'a [u8], sname: &'a [u8]) -> Result<Self, WireError> {
        let mut all = Self { fields: [checked(options)?, &[], &[]] };
        let overload =
            all.get(OptionCode::OVERLOAD).and_then(|data| data.first().copied()).unwrap_or_default();
        let [_, in_file, in_sname] = &mut all.fields;
        if overload & 1 != 0 {
            *in_file = checked(file)?;
        }
        if overload & 2 != 0 {
            *in_sname = checked(sname)?;
        }
        Ok(all)
    }

    /// Code and content of each piece, in the order in which the pieces count; neither padding nor End.
    pub fn pieces(&self) -> impl Iterator<Item = (OptionCode, &'a [u8])> + use<'a> {
        self.fields.into_iter().flat_map(|field| {
            let mut rest = field;
            std::iter::from_fn(move || {
                let (piece, after) = split(rest).ok()??;
                rest = after;
                Some(piece)
            })
        })
    }

    /// The content of an option, its pieces put together (RFC 3396 section 7).
    pub fn get(&self, code: OptionCode) -> Option<Cow<'a, [u8]>> {
        let mut pieces = self.pieces().filter_map(|(piece, data)| (piece == code).then_some(data));
        let mut whole = Cow::Borrowed(pieces.next()?);
        for piece in pieces {
            whole.to_mut().extend_from_slice(piece);
        }
        Some(whole)
    }

    /// The option, decoded as its form says.
    pub fn find(&self, code: OptionCode) -> Option<Value<'a>> {
        self.get(code).map(|data| Value::decode(code, data))
    }

    /// An option that is one address.
    pub fn address(&self, code: OptionCode) -> Option<Ipv4Addr> {
        match self.get(code).as_deref() {
            Some(&[a, b, c, d]) => Some(Ipv4Addr::new(a, b, c, d)),
            _ => None,
        }
    }

    /// An option that is one 16-bit number.
    pub fn u16(&self, code: OptionCode) -> Option<u16> {
        match self.get(code).as_deref() {
            Some(&[a, b]) => Some(u16::from_be_bytes([a, b])),
            _ => None,
        }
    }

    /// An option that is one 32-bit number.
    pub fn u32(&self, code: OptionCode) -> Option<u32> {
        match self.get(code).as_deref() {
            Some(&[a, b, c, d]) => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// An option that is characters: printable ASCII only, since it comes from strangers and goes to people.
    pub fn text(&self, code: OptionCode) -> Option<String> {
        let octets = self.get(code)?;
        let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let text = std::str::from_utf8(octets.get(..end)?).ok()?;
        let printable = !text.is_empty() && text.bytes().all(|octet| (0x20..0x7f).contains(&octet));
        printable.then(|| text.to_owned())
    }

    /// The codes in the Parameter Request List, in the client's order.
    pub fn requested(&self) -> Vec<OptionCode> {
        let list = self.get(OptionCode::PARAMETER_REQUEST_LIST).unwrap_or_default();
        list.iter().map(|&code| OptionCode(code)).collect()
    }

    /// Whether the Parameter Request List names `code`.
    pub fn requests(&self, code: OptionCode) -> bool {
        self.pieces()
            .any(|(piece, data)| piece == OptionCode::PARAMETER_REQUEST_LIST && data.contains(&code.0))
    }
}

/// The part of `field` that holds options whose lengths fit, End and what is behind it left out. That End is
/// missing is tolerated: some clients leave it out.
fn checked(field: &[u8]) -> Result<&[u8], WireError> {
    let mut rest = field;
    while let Some((_, after)) = split(rest)? {
        rest = after;
    }
    Ok(field.get(..field.len() - rest.len()).unwrap_or_default())
}

/// A piece of an option and what follows it.
type Split<'a> = ((OptionCode, &'a [u8]), &'a [u8]);

/// The first piece of `bytes`, padding left out; `None` at the end of the options.
fn split(bytes: &[u8]) -> Result<Option<Split<'_>>, WireError> {
    let start = bytes.iter().position(|octet| *octet != OptionCode::PAD.0).unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    let (code, rest) = match bytes {
        [] => return Ok(None),
        &[code, ..] if code == OptionCode::END.0 => return Ok(None),
        &[code, length, ref rest @ ..] => {
            (code, rest.split_at_checked(usize::from(length)).ok_or(rest.len()))
        }
        &[_] => return Err(WireError::Truncated { what: "DHCPv4 option header", need: 2, have: 1 }),
    };
    match rest {
        Ok((data, after)) => Ok(Some(((OptionCode(code), data), after))),
        Err(have) => {
            let need = bytes.get(1).copied().map_or(0, usize::from);
            Err(WireError::Truncated { what: "DHCPv4 option", need, have })
        }
    }
}

/// An option, decoded. Content that does not have the form its code asks for is [`Value::Malformed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// One address.
    Address(Ipv4Addr),
    /// Addresses.
    Addresses(Vec<Ipv4Addr>),
    /// A number, whichever its size.
    Number(u32),
    /// Characters.
    Text(String),
    /// Option codes.
    Codes(Vec<OptionCode>),
    /// Nothing.
    Empty,
    /// Octets.
    Opaque(Cow<'a, [u8]>),
    /// Octets that should have had another form.
    Malformed(Cow<'a, [u8]>),
}

impl<'a> Value<'a> {
    /// Decodes `data` in the form that the registry gives for `code`.
    pub fn decode(code: OptionCode, data: Cow<'a, [u8]>) -> Self {
        let address = |octets: &[u8]| <[u8; 4]>::try_from(octets).ok().map(Ipv4Addr::from);
        let value = match (code.form(), &*data) {
            (Form::Opaque, _) => return Self::Opaque(data),
            (Form::Address, octets) => address(octets).map(Self::Address),
            (Form::Addresses, octets) if !octets.is_empty() => {
                octets.chunks(4).map(address).collect::<Option<_>>().map(Self::Addresses)
            }
            (Form::U8, &[value]) => Some(Self::Number(value.into())),
            (Form::U16, &[a, b]) => Some(Self::Number(u16::from_be_bytes([a, b]).into())),
            (Form::U32, &[a, b, c, d]) => Some(Self::Number(u32::from_be_bytes([a, b, c, d]))),
            (Form::Text, octets) => {
                let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
                let text = octets.get(..end).and_then(|octets| std::str::from_utf8(octets).ok());
                text.map(|text| Self::Text(text.to_owned()))
            }
            (Form::Codes, octets) => Some(Self::Codes(octets.iter().map(|&code| OptionCode(code)).collect())),
            (Form::Empty, &[]) => Some(Self::Empty),
            _ => None,
        };
        value.unwrap_or(Self::Malformed(data))
    }
}
