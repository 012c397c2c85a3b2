//! Whatever is configured as the URL of a broker. A password in it is in no error and in nothing that is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::config::BrokerUrl;

const PASSWORD: &str = "Zq7Vx9Kp2wLm";

fuzz_target!(|text: &str| {
    let _ = BrokerUrl::parse(text);
    // The same with a password where one belongs.
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let text = format!("{scheme}://user:{PASSWORD}@{host}");
    match BrokerUrl::parse(&text) {
        Ok(brokers) => {
            for broker in brokers {
                assert!(!broker.says().as_str().contains(PASSWORD), "{text}");
                assert!(broker.warnings.iter().all(|warning| !warning.as_str().contains(PASSWORD)), "{text}");
            }
        }
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{text}"),
    }
});
