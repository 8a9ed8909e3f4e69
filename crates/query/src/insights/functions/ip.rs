//! Addresses of IP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Arguments, Function, function};
use crate::insights::datum::Datum;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "isValidIp",
        (1, 1),
        "isValidIp(field)",
        &[("isValidIp(\"10.0.0.1\")", "1"), ("isValidIp(\"10.0.0\")", "0")],
        |a| test(a, |_| true),
    ),
    function("isValidIpV4", (1, 1), "isValidIpV4(field)", &[("isValidIpV4(\"::1\")", "0")], |a| {
        test(a, |ip| ip.is_ipv4())
    }),
    function("isValidIpV6", (1, 1), "isValidIpV6(field)", &[("isValidIpV6(\"::1\")", "1")], |a| {
        test(a, |ip| ip.is_ipv6())
    }),
    function(
        "isIpInSubnet",
        (2, 2),
        "isIpInSubnet(field, \"10.0.0.0/8\")",
        &[
            ("isIpInSubnet(\"10.1.2.3\", \"10.0.0.0/8\")", "1"),
            ("isIpInSubnet(\"fd00::1\", \"fd00::/8\")", "1"),
            ("isIpInSubnet(\"x\", \"10.0.0.0/8\")", "0"),
        ],
        |a| subnet(a, |_| true),
    ),
    function(
        "isIpv4InSubnet",
        (2, 2),
        "isIpv4InSubnet(field, \"10.0.0.0/8\")",
        &[
            ("isIpv4InSubnet(\"11.1.2.3\", \"10.0.0.0/8\")", "0"),
            ("isIpv4InSubnet(\"10.1.2.3\", \"0.0.0.0/0\")", "1"),
        ],
        |a| subnet(a, IpAddr::is_ipv4),
    ),
    function(
        "isIpv6InSubnet",
        (2, 2),
        "isIpv6InSubnet(field, \"fd00::/8\")",
        &[("isIpv6InSubnet(\"fe00::1\", \"fd00::/8\")", "0")],
        |a| subnet(a, IpAddr::is_ipv6),
    ),
    function(
        "ipv4ToNumber",
        (1, 1),
        "ipv4ToNumber(field)",
        &[("ipv4ToNumber(\"0.0.1.2\")", "258"), ("ipv4ToNumber(\"::1\")", "null")],
        |a| match address(a) {
            Some(IpAddr::V4(ip)) => Datum::I64(i64::from(ip.to_bits())),
            _ => Datum::Missing,
        },
    ),
    function(
        "isPrivateIP",
        (1, 1),
        "isPrivateIP(field)",
        &[("isPrivateIP(\"192.168.1.1\")", "1"), ("isPrivateIP(\"8.8.8.8\")", "0")],
        |a| test(a, is_private),
    ),
    function(
        "isPublicIP",
        (1, 1),
        "isPublicIP(field)",
        &[("isPublicIP(\"8.8.8.8\")", "1"), ("isPublicIP(\"127.0.0.1\")", "0")],
        |a| test(a, |ip| !is_private(ip) && !is_reserved(ip)),
    ),
    function(
        "isReservedIP",
        (1, 1),
        "isReservedIP(field)",
        &[("isReservedIP(\"240.0.0.1\")", "1"), ("isReservedIP(\"8.8.8.8\")", "0")],
        |a| test(a, is_reserved),
    ),
];

fn address(arguments: &Arguments<'_>) -> Option<IpAddr> {
    arguments.text(0)?.trim().parse().ok()
}

/// A test of an address; what is none fails it, and a missing field is neither.
fn test(arguments: &Arguments<'_>, holds: fn(IpAddr) -> bool) -> Datum {
    Datum::from(arguments.text(0).map(|_| address(arguments).is_some_and(holds)))
}

fn subnet(arguments: &Arguments<'_>, fits: fn(&IpAddr) -> bool) -> Datum {
    let Some(range) = arguments.text(1) else { return Datum::Missing };
    let (base, length) = range.split_once('/').unwrap_or((&range, ""));
    let Ok(base) = base.trim().parse::<IpAddr>() else { return Datum::Missing };
    let whole: u32 = if base.is_ipv4() { 32 } else { 128 };
    let length =
        if length.is_empty() { Some(whole) } else { length.trim().parse().ok().filter(|l| *l <= whole) };
    let Some(length) = length else { return Datum::Missing };
    Datum::from(arguments.text(0).map(|_| {
        address(arguments).filter(fits).is_some_and(|ip| match (ip, base) {
            (IpAddr::V4(ip), IpAddr::V4(base)) => {
                (ip.to_bits() ^ base.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0
            }
            (IpAddr::V6(ip), IpAddr::V6(base)) => {
                (ip.to_bits() ^ base.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0
            }
            _ => false,
        })
    }))
}

/// Addresses of private networks (RFC 1918, RFC 4193).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => within(ip, 0xfc00, 7),
    }
}

/// Addresses that are neither private nor anybody's: this host, link, documentation, multicast, future use.
fn is_reserved(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || ip.octets()[..3] == Ipv4Addr::new(192, 0, 0, 0).octets()[..3]
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || within(ip, 0xfe80, 10)
                || ip.segments()[..2] == [0x2001, 0xdb8]
        }
    }
}

fn within(ip: Ipv6Addr, first: u16, bits: u32) -> bool {
    (ip.segments()[0] ^ first) >> (16 - bits) == 0
}
