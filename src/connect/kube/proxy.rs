//! Which proxy leads to the API server, decided here: kube matches NO_PROXY against the proxy's own host, so that a listed server was
//! still proxied. Rules as curl and Go have them: exact host, domain suffix, address, CIDR, port, `*`.

use std::net::IpAddr;

/// Whether `host:port` is on the `NO_PROXY` list.
pub(in crate::connect) fn bypasses(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    no_proxy.split(',').map(str::trim).filter(|e| !e.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let (Some(address), Some((net, bits))) = (address, entry.split_once('/')) {
            return in_network(address, net, bits);
        }
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, p)) if !name.contains(':') && p.parse::<u16>().is_ok() => (name, p.parse::<u16>().ok()),
            _ => (entry, None),
        };
        if wanted.is_some_and(|p| p != port) {
            return false;
        }
        let name = name.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
        host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
    })
}

fn in_network(address: IpAddr, net: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (address, net.parse::<IpAddr>()) {
        (IpAddr::V4(a), Ok(IpAddr::V4(n))) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(a) & mask == u32::from(n) & mask
        }
        (IpAddr::V6(a), Ok(IpAddr::V6(n))) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(a) & mask == u128::from(n) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::bypasses;

    #[test]
    fn matches_as_curl_and_go_do() {
        for (list, host, yes) in [
            ("example.org", "api.example.org", true),
            (".example.org", "api.example.org", true),
            ("*.example.org", "api.example.org", true),
            ("example.org", "badexample.org", false),
            ("10.0.0.0/8", "10.88.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.88.1.2", "10.88.1.2", true),
            ("10.88.1.2:6443", "10.88.1.2", true),
            ("10.88.1.2:443", "10.88.1.2", false),
            ("*", "anything", true),
            ("", "anything", false),
            ("fd00::/8", "[fd00::1]", true),
            (" a , B.example ", "b.example", true),
        ] {
            assert_eq!(bypasses(list, host, 6443), yes, "{list} {host}");
        }
    }
}
