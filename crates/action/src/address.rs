//! What kind of place an IP address is.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What kind of place an address is; only [`Public`](Self::Public) is open to everybody who may go out.
///
/// The ranges are those of the IANA special-purpose address registries (RFC 6890, as of 2026), of
/// RFC 4291, and the addresses at which clouds give their machines credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Anywhere on the internet.
    Public,
    /// This machine.
    Loopback,
    /// No address, or this machine: `0.0.0.0/8`, `::`.
    Unspecified,
    /// A network of one's own: RFC 1918, `fc00::/7`, `fec0::/10`.
    Private,
    /// Behind the translator of a provider: `100.64.0.0/10`.
    CarrierGrade,
    /// The same cable: `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// Where a cloud tells a machine its credentials.
    Metadata,
    /// Many machines at once.
    Multicast,
    /// Every machine of a network: `255.255.255.255`.
    Broadcast,
    /// For examples in texts only.
    Documentation,
    /// For measurements only: `198.18.0.0/15`, `2001:2::/48`.
    Benchmarking,
    /// Not assigned to anybody, or to protocols only.
    Reserved,
    /// An IPv4 address inside an IPv6 one, wherever that leads.
    Embedded(Embedding),
}

/// In which way an IPv6 address holds an IPv4 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Embedding {
    /// `::ffff:0:0/96` (RFC 4291).
    Mapped,
    /// `::/96` (RFC 4291, deprecated).
    Compatible,
    /// `::ffff:0:0:0/96` (RFC 2765).
    Translated,
    /// `64:ff9b::/96` (RFC 6052) and `64:ff9b:1::/48` (RFC 8215).
    Nat64,
    /// `2002::/16` (RFC 3056).
    SixToFour,
    /// `2001::/32` (RFC 4380).
    Teredo,
    /// An interface named `::5efe:…` (RFC 5214).
    Isatap,
}

/// Where clouds give credentials away.
const METADATA: &[IpAddr] = &[
    // AWS, Azure, Google, DigitalOcean and others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // AWS: containers (ECS, EKS).
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    // Google.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Alibaba.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's wire server: a public address that only its machines reach.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl AddressClass {
    /// The class of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

fn v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::CarrierGrade,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmarking,
        [192, 0, 0, _] | [192, 88, 99, _] => AddressClass::Reserved,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn v6(address: Ipv6Addr) -> AddressClass {
    use AddressClass as Class;
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0, 0, 0, 0, 0, 0xffff, ..] => Class::Embedded(Embedding::Mapped),
        [0, 0, 0, 0, 0xffff, 0, ..] => Class::Embedded(Embedding::Translated),
        [0, 0, 0, 0, 0, 0, ..] => Class::Embedded(Embedding::Compatible),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Class::Embedded(Embedding::Nat64),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0x2002, ..] => Class::Embedded(Embedding::SixToFour),
        [0x2001, 0, ..] => Class::Embedded(Embedding::Teredo),
        [0x2001, 2, 0, ..] => Class::Benchmarking,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Documentation,
        [0x2001, 0..=0x01ff, ..] => Class::Reserved,
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Class::Embedded(Embedding::Isatap),
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Reserved,
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine",
            Self::Unspecified => "no particular address, which means this machine",
            Self::Private => "a private address",
            Self::CarrierGrade => "a provider's shared address (100.64.0.0/10)",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Reserved => "a reserved address",
            Self::Embedded(Embedding::Mapped) => "an IPv4-mapped IPv6 address",
            Self::Embedded(Embedding::Compatible) => "an IPv4-compatible IPv6 address",
            Self::Embedded(Embedding::Translated) => "an IPv4-translated IPv6 address",
            Self::Embedded(Embedding::Nat64) => "a NAT64 address",
            Self::Embedded(Embedding::SixToFour) => "a 6to4 address",
            Self::Embedded(Embedding::Teredo) => "a Teredo address",
            Self::Embedded(Embedding::Isatap) => "an ISATAP address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: &str) {
        let class = AddressClass::of(address.parse().unwrap());
        assert_eq!(format!("{class:?}"), expected, "{address}");
    }

    #[test]
    fn every_range_of_the_registries_has_its_class_up_to_its_borders() {
        for (addresses, class) in [
            (
                "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0",
                "Public",
            ),
            (
                "100.63.255.255 100.128.0.0 169.253.255.255 169.255.0.0",
                "Public",
            ),
            (
                "172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0",
                "Public",
            ),
            (
                "198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.17",
                "Public",
            ),
            (
                "2606:4700::1111 2001:4860:4860::8888 2a00::1 2001:200::1 3ffe::1",
                "Public",
            ),
            (
                "127.0.0.0 127.0.0.1 127.1.2.3 127.255.255.255 ::1",
                "Loopback",
            ),
            ("0.0.0.0 0.1.2.3 0.255.255.255 ::", "Unspecified"),
            (
                "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255",
                "Private",
            ),
            (
                "192.168.0.0 192.168.255.255 fc00:: fdff::1 fec0::1 feff::1",
                "Private",
            ),
            ("100.64.0.0 100.127.255.255", "CarrierGrade"),
            (
                "169.254.0.0 169.254.255.255 fe80::1 febf:ffff::1",
                "LinkLocal",
            ),
            (
                "169.254.169.254 169.254.170.2 fd00:ec2::254 fd20:ce::254",
                "Metadata",
            ),
            ("100.100.100.200 168.63.129.16 192.0.0.192", "Metadata"),
            ("169.254.170.23 fd00:ec2::23", "Metadata"),
            ("224.0.0.0 239.255.255.255 ff02::1 ffff::1", "Multicast"),
            ("255.255.255.255", "Broadcast"),
            (
                "192.0.2.0 198.51.100.255 203.0.113.7 2001:db8::1 3fff::1 3fff:fff::",
                "Documentation",
            ),
            ("198.18.0.0 198.19.255.255 2001:2::1", "Benchmarking"),
            (
                "192.0.0.0 192.0.0.255 192.88.99.1 240.0.0.0 255.255.255.254",
                "Reserved",
            ),
            (
                "2001:10::1 2001:20::1 2001:1ff::1 100::1 5f00::1 4000::1 64:ff9c::1 1::1",
                "Reserved",
            ),
            ("::ffff:127.0.0.1 ::ffff:8.8.8.8", "Embedded(Mapped)"),
            ("::127.0.0.1 ::2 ::8.8.8.8", "Embedded(Compatible)"),
            ("::ffff:0:127.0.0.1", "Embedded(Translated)"),
            (
                "64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1:ffff::",
                "Embedded(Nat64)",
            ),
            ("2002:7f00:1:: 2002::1", "Embedded(SixToFour)"),
            ("2001::1 2001:0:ffff::1", "Embedded(Teredo)"),
            (
                "2606::5efe:127.0.0.1 2606::200:5efe:10.0.0.1",
                "Embedded(Isatap)",
            ),
        ] {
            for address in addresses.split(' ') {
                check(address, class);
            }
        }
    }
}
