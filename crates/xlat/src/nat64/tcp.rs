//! The state machine of a TCP session (RFC 6146 section 3.5.2.2), CLOSED apart: that is no session.

/// The state of a TCP session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// A SYN came from IPv4.
    V4Init,
    /// A SYN came from IPv6.
    V6Init,
    /// SYNs went both ways.
    Established,
    /// IPv4 has sent its FIN.
    V4FinReceived,
    /// IPv6 has sent its FIN.
    V6FinReceived,
    /// Both have.
    BothFinReceived,
    /// A reset was seen, or nothing for long.
    Transitory,
}

impl TcpState {
    /// The name that the RFC gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4Init => "V4 INIT",
            Self::V6Init => "V6 INIT",
            Self::Established => "ESTABLISHED",
            Self::V4FinReceived => "V4 FIN RCV",
            Self::V6FinReceived => "V6 FIN RCV",
            Self::BothFinReceived => "V6 FIN + V4 FIN RCV",
            Self::Transitory => "TRANS",
        }
    }

    /// Whether its lifetime is that of established connections.
    pub(super) fn is_long(self) -> bool {
        matches!(self, Self::Established | Self::V4FinReceived | Self::V6FinReceived)
    }
}

/// From where a segment comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    V4,
    V6,
}

/// What counts of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Syn,
    Fin,
    Rst,
    Other,
}

impl Segment {
    /// By the octet of flags (RFC 9293 section 3.1). A reset is one whatever else is set; SYN with FIN is neither.
    pub(super) fn of(flags: u8) -> Self {
        match flags & 0b111 {
            0b001 => Self::Fin,
            0b010 => Self::Syn,
            flags if flags & 0b100 != 0 => Self::Rst,
            _ => Self::Other,
        }
    }
}

/// The next state, and whether the session's lifetime begins anew.
pub(super) fn next(state: TcpState, side: Side, segment: Segment) -> (TcpState, bool) {
    use TcpState::{BothFinReceived, Established, Transitory, V4FinReceived, V4Init, V6FinReceived, V6Init};
    match (state, side, segment) {
        (V4Init, Side::V6, Segment::Syn) | (V6Init, Side::V4, Segment::Syn) => (Established, true),
        (V6Init, Side::V6, Segment::Syn) => (V6Init, true),
        (Established, Side::V4, Segment::Fin) => (V4FinReceived, false),
        (Established, Side::V6, Segment::Fin) => (V6FinReceived, false),
        (Established, _, Segment::Rst) => (Transitory, true),
        (V4FinReceived, Side::V6, Segment::Fin) | (V6FinReceived, Side::V4, Segment::Fin) => {
            (BothFinReceived, true)
        }
        (Established | V4FinReceived | V6FinReceived, ..) => (state, true),
        (V4Init | V6Init | BothFinReceived, ..) | (Transitory, _, Segment::Rst) => (state, false),
        (Transitory, ..) => (Established, true),
    }
}

#[cfg(test)]
mod tests {
    use super::TcpState::*;
    use super::*;

    /// The transitions of RFC 6146 section 3.5.2.2, each state by each segment from each side; `!` where the lifetime
    /// begins anew.
    const TABLE: &[(TcpState, [(TcpState, bool); 8])] = &[
        // From IPv4: SYN, FIN, RST, other; from IPv6: the same.
        (
            V4Init,
            [
                (V4Init, false),
                (V4Init, false),
                (V4Init, false),
                (V4Init, false),
                (Established, true),
                (V4Init, false),
                (V4Init, false),
                (V4Init, false),
            ],
        ),
        (
            V6Init,
            [
                (Established, true),
                (V6Init, false),
                (V6Init, false),
                (V6Init, false),
                (V6Init, true),
                (V6Init, false),
                (V6Init, false),
                (V6Init, false),
            ],
        ),
        (
            Established,
            [
                (Established, true),
                (V4FinReceived, false),
                (Transitory, true),
                (Established, true),
                (Established, true),
                (V6FinReceived, false),
                (Transitory, true),
                (Established, true),
            ],
        ),
        (
            V4FinReceived,
            [
                (V4FinReceived, true),
                (V4FinReceived, true),
                (V4FinReceived, true),
                (V4FinReceived, true),
                (V4FinReceived, true),
                (BothFinReceived, true),
                (V4FinReceived, true),
                (V4FinReceived, true),
            ],
        ),
        (
            V6FinReceived,
            [
                (V6FinReceived, true),
                (BothFinReceived, true),
                (V6FinReceived, true),
                (V6FinReceived, true),
                (V6FinReceived, true),
                (V6FinReceived, true),
                (V6FinReceived, true),
                (V6FinReceived, true),
            ],
        ),
        (BothFinReceived, [(BothFinReceived, false); 8]),
        (
            Transitory,
            [
                (Established, true),
                (Established, true),
                (Transitory, false),
                (Established, true),
                (Established, true),
                (Established, true),
                (Transitory, false),
                (Established, true),
            ],
        ),
    ];

    #[test]
    fn every_state_and_segment() {
        for (state, row) in TABLE {
            let mut row = row.iter();
            for side in [Side::V4, Side::V6] {
                for segment in [Segment::Syn, Segment::Fin, Segment::Rst, Segment::Other] {
                    let wanted = row.next().copied().unwrap();
                    assert_eq!(next(*state, side, segment), wanted, "{state:?} {side:?} {segment:?}");
                }
            }
        }
        assert_eq!(TABLE.len(), 7);
    }

    #[test]
    fn flags() {
        for (flags, segment) in [
            (0b1_0000, Segment::Other),
            (0b1_0010, Segment::Syn),
            (0b0010, Segment::Syn),
            (0b1_0001, Segment::Fin),
            (0b0100, Segment::Rst),
            (0b1_0110, Segment::Rst),
            (0b0111, Segment::Rst),
            (0b0011, Segment::Other),
            (0, Segment::Other),
        ] {
            assert_eq!(Segment::of(flags), segment, "{flags:#b}");
        }
    }
}
