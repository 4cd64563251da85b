//! How many octets of a link's rate a packet takes.

/// How a link cuts what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cells {
    /// Not at all.
    #[default]
    None,
    /// Cells of 53 octets that carry 48 (ATM: ADSL).
    Atm,
    /// 65 octets for each 64 (PTM, 64b/65b: VDSL2; ITU-T G.992.3 Annex N).
    Ptm,
}

/// What a link adds to each IP packet. The presets are those of Linux's CAKE (tc-cake(8)), for packets as a TUN
/// device gives them: the IP header first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Framing {
    /// Octets around each packet; negative where the length that is known counts more than the link does.
    pub overhead: i32,
    /// The least that a packet with its overhead takes: the minimum packet unit.
    pub mpu: u32,
    /// How the link cuts what it carries.
    pub cells: Cells,
}

impl Framing {
    const fn new(overhead: i32, mpu: u32, cells: Cells) -> Self {
        Self { overhead, mpu, cells }
    }

    /// Nothing: the IP packet is what the rate counts.
    pub const RAW: Self = Self::new(0, 0, Cells::None);
    /// Ethernet as most devices count its rate: header and frame check sequence.
    pub const ETHERNET_FRAME: Self = Self::new(18, 64, Cells::None);
    /// Ethernet where the cable is the bottleneck: preamble and gap too.
    pub const ETHERNET: Self = Self::new(38, 84, Cells::None);
    /// Cable: the operator's equipment counts Ethernet frames.
    pub const DOCSIS: Self = Self::new(18, 64, Cells::None);
    /// VDSL2 with PPPoE.
    pub const PPPOE_PTM: Self = Self::new(30, 0, Cells::Ptm);
    /// VDSL2 without.
    pub const BRIDGED_PTM: Self = Self::new(22, 0, Cells::Ptm);
    /// ADSL with PPPoA.
    pub const PPPOA_VCMUX: Self = Self::new(10, 0, Cells::Atm);
    /// ADSL with PPPoA and LLC.
    pub const PPPOA_LLC: Self = Self::new(14, 0, Cells::Atm);
    /// ADSL with PPPoE.
    pub const PPPOE_VCMUX: Self = Self::new(32, 0, Cells::Atm);
    /// ADSL with PPPoE, LLC and SNAP.
    pub const PPPOE_LLCSNAP: Self = Self::new(40, 0, Cells::Atm);
    /// ADSL, Ethernet bridged.
    pub const BRIDGED_VCMUX: Self = Self::new(24, 0, Cells::Atm);
    /// ADSL, Ethernet bridged, LLC and SNAP.
    pub const BRIDGED_LLCSNAP: Self = Self::new(32, 0, Cells::Atm);
    /// ADSL with IP alone.
    pub const IPOA_VCMUX: Self = Self::new(8, 0, Cells::Atm);
    /// ADSL with IP alone, LLC and SNAP.
    pub const IPOA_LLCSNAP: Self = Self::new(16, 0, Cells::Atm);
    /// More than any usual link takes.
    pub const CONSERVATIVE: Self = Self::new(48, 0, Cells::Atm);

    /// The same with one VLAN tag more (IEEE 802.1Q).
    #[must_use]
    pub const fn vlan(self) -> Self {
        Self { overhead: self.overhead.saturating_add(4), ..self }
    }

    /// The same with PPPoE within (RFC 2516).
    #[must_use]
    pub const fn pppoe(self) -> Self {
        Self { overhead: self.overhead.saturating_add(8), ..self }
    }

    /// What a packet of so many octets takes.
    pub fn octets(&self, length: u32) -> u64 {
        let framed = (i64::from(length) + i64::from(self.overhead)).max(self.mpu.into());
        let framed = framed.max(0).unsigned_abs();
        match self.cells {
            Cells::None => framed,
            Cells::Atm => framed.div_ceil(48) * 53,
            Cells::Ptm => framed + framed.div_ceil(64),
        }
    }

    /// What a superpacket takes: each of the packets that it is cut into has headers and framing of its own.
    pub fn superpacket(&self, length: u32, segments: Segments) -> u64 {
        let payload = length.saturating_sub(segments.headers);
        if segments.payload == 0 || payload <= segments.payload {
            return self.octets(length);
        }
        let (full, rest) = (payload / segments.payload, payload % segments.payload);
        let last = if rest == 0 { 0 } else { self.octets(segments.headers.saturating_add(rest)) };
        u64::from(full) * self.octets(segments.headers.saturating_add(segments.payload)) + last
    }
}

/// How a superpacket (GSO, GRO) is cut into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// Octets of its headers, which each packet will have.
    pub headers: u32,
    /// Octets of payload in each packet, the last one apart.
    pub payload: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_take_what_they_take() {
        let table = [
            (Framing::RAW, 1500, 1500),
            (Framing::ETHERNET_FRAME, 1500, 1518),
            (Framing::ETHERNET_FRAME, 40, 64),
            (Framing::ETHERNET, 1500, 1538),
            (Framing::ETHERNET, 40, 84),
            (Framing::ETHERNET.vlan(), 1500, 1542),
            (Framing::ETHERNET_FRAME.pppoe(), 1492, 1518),
            (Framing::DOCSIS, 1500, 1518),
            // 1,492 + 40 octets are 32 cells.
            (Framing::PPPOE_LLCSNAP, 1492, 32 * 53),
            // One octet more, one cell more.
            (Framing::PPPOE_LLCSNAP, 1497, 33 * 53),
            (Framing::IPOA_VCMUX, 40, 53),
            (Framing::IPOA_VCMUX, 41, 2 * 53),
            (Framing::BRIDGED_PTM, 1500, 1522 + 24),
            (Framing { overhead: -14, ..Framing::RAW }, 10, 0),
        ];
        for (framing, length, octets) in table {
            assert_eq!(framing.octets(length), octets, "{framing:?} {length}");
        }
    }

    #[test]
    fn a_superpacket_takes_what_its_packets_take() {
        let segments = Segments { headers: 60, payload: 1440 };
        let framing = Framing::ETHERNET;
        assert_eq!(framing.superpacket(60 + 3 * 1440, segments), 3 * 1538);
        assert_eq!(framing.superpacket(60 + 2 * 1440 + 1, segments), 2 * 1538 + 99);
        assert_eq!(framing.superpacket(1500, segments), 1538);
        assert_eq!(framing.superpacket(40, segments), 84);
        assert_eq!(framing.superpacket(5000, Segments { headers: 60, payload: 0 }), 5038);
        assert_eq!(
            framing.superpacket(u32::MAX, Segments { headers: u32::MAX, payload: 1 }),
            4_294_967_295 + 38
        );
    }
}
