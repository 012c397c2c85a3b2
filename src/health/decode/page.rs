//! Answers that say nothing about health: a page, a login, a proxy's own words, a redirect. What they are is said, so that nobody looks for a
//! broken database behind a missing path.

use super::{NotHealth, RawAnswer};
use crate::text::{Redactor, Safe};

/// What the status alone says, whatever the body.
pub(super) fn by_status(raw: &RawAnswer<'_>) -> Option<NotHealth> {
    match raw.status {
        300..=399 => Some(redirect(raw)),
        401 | 403 | 407 => Some(NotHealth::Unauthorized),
        404 | 410 => Some(NotHealth::NoSuchPath),
        405 => Some(NotHealth::NoGet),
        // With DEBUG Django names the setting; without, the page is this and no more.
        400 if holds(raw.body, "ALLOWED_HOSTS") || holds(raw.body, "<h1>Bad Request (400)</h1>") => Some(NotHealth::HostRefused),
        _ => None,
    }
}

fn redirect(raw: &RawAnswer<'_>) -> NotHealth {
    let path = raw.location.split_once("://").map_or(raw.location, |(_, rest)| rest.find('/').and_then(|i| rest.get(i..)).unwrap_or("/"));
    let path_only = path.split(['?', '#']).next().unwrap_or_default();
    if raw.location.starts_with("https://") && path == raw.path {
        return NotHealth::SecureRedirect;
    }
    let segments = || path_only.split('/').map(str::to_ascii_lowercase);
    if segments().any(|s| ["login", "signin", "sign-in", "sign_in", "auth", "authorize", "sso", "oauth2", "oauth"].contains(&s.as_str())) {
        return NotHealth::Login;
    }
    // Its query can hold a token.
    NotHealth::Redirect(Safe::name(raw.location.split(['?', '#']).next().unwrap_or_default()).clipped(120))
}

/// What kind of HTML page it is.
pub(super) fn of(status: u16, text: &str, redact: &Redactor) -> NotHealth {
    let lower = text.get(..text.len().min(64 << 10)).unwrap_or(text).to_ascii_lowercase();
    let title = title(text, &lower).map(|t| redact.safe(t.as_bytes()).clipped(80)).unwrap_or_default();
    let of_proxy = ["nginx", "cloudflare", "openresty", "haproxy", "traefik", "envoy", "varnish", "apache", "awselb", "gateway"];
    if matches!(status, 502..=504 | 520..=530) || (status >= 500 && of_proxy.iter().any(|name| lower.contains(name))) {
        return NotHealth::ProxyPage(title);
    }
    if lower.contains("type=\"password\"") || lower.contains("type='password'") || lower.contains("type=password") {
        return NotHealth::Login;
    }
    NotHealth::Page(title)
}

fn title<'a>(text: &'a str, lower: &str) -> Option<&'a str> {
    let begin = lower.find("<title")?;
    let from = begin + lower.get(begin..)?.find('>')? + 1;
    let to = from + lower.get(from..)?.find("</title")?;
    // Lower case in ASCII keeps every byte in its place.
    text.get(from..to).map(str::trim)
}

fn holds(body: &[u8], text: &str) -> bool {
    memchr::memmem::find(body, text.as_bytes()).is_some()
}
