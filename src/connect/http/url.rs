//! A URL that can be asked: http or https, a host, a port, a path. A password in it is refused: URLs are shown.

use crate::{
    answer::Hint,
    config::host_port,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};

/// Where a question goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether TLS is spoken.
    pub https: bool,
    /// The host: a name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path with its query; begins with `/`.
    pub path: String,
}

impl HttpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// `Usage`: no URL, another scheme, or a user or password in it.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |what: &'static str| Error::new(Kind::Usage, "reading a URL").what(what);
        let uri: http::Uri = text.trim().parse().map_err(|_| fail("it is none: https://app.example.org/api/health/"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(fail("neither http:// nor https:// stands before it")),
        };
        let authority = uri.authority().ok_or_else(|| fail("no host is in it"))?;
        if authority.as_str().contains('@') {
            return Err(fail("a user or password in a URL would be shown").hint(Hint::Try("the URL without it".into())));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        // A port that is none is not an error to the parser: it leaves it out.
        let has_port = authority.as_str().len() > authority.host().len();
        if host.is_empty() || (has_port && authority.port_u16().is_none_or(|p| p == 0)) {
            return Err(fail("its host or port is none"));
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        // `https://host?x` has a query and no path.
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { https, host, port, path })
    }

    /// The URL that a `Location` names, seen from this one. None: it is none that can be asked.
    pub fn join(&self, location: &str) -> Option<Self> {
        let location = location.trim();
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme())).ok();
        }
        if location.contains("://") && !location.starts_with(['/', '?', '.']) {
            return Self::parse(location).ok();
        }
        let own = self.path.split(['?', '#']).next().unwrap_or("/");
        let path = match location.split('#').next().unwrap_or_default() {
            "" => return None,
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            query if query.starts_with('?') => format!("{own}{query}"),
            relative => format!("{}/{}", own.rsplit_once('/').map_or("", |(folder, _)| folder), relative.trim_start_matches("./")),
        };
        // Through the parser, so that a line end or a space in it never reaches a request.
        Self::parse(&format!("{}{path}", self.origin())).ok()
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// What a `Host` header says: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// Whether what is meant for one may be told to the other: the same scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    /// `host:port`, for errors.
    pub fn at(&self) -> Safe {
        host_port(&self.host, self.port)
    }

    /// For people: a query can hold a token and is not shown.
    pub fn shown(&self) -> Safe {
        let (path, query) = self.path.split_once('?').map_or((self.path.as_str(), ""), |(path, _)| (path, "?…"));
        let path = if path == "/" && query.is_empty() { "" } else { path };
        safe!("{}{}{}", Safe::name(self.origin()), Safe::name(path), Safe::name(query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_read() {
        let shown = |text: &str| HttpUrl::parse(text).map(|u| format!("{} {} {}", u.shown(), u.at(), u.path));
        assert_eq!(shown("https://App.example.org").ok().as_deref(), Some("https://app.example.org app.example.org:443 /"));
        assert_eq!(shown("http://[::1]:8000/a/?t=1#x").ok().as_deref(), Some("http://[::1]:8000/a/?… [::1]:8000 /a/?t=1"));
        assert_eq!(shown("http://h?x").ok().as_deref(), Some("http://h/?… h:80 /?x"));
        for bad in ["ftp://h/", "h/x", "https://", "https://u:p@h/", "http://h:99999/", "http://h:0/", "http://h /x"] {
            assert_eq!(HttpUrl::parse(bad).err().map(|e| e.kind()), Some(Kind::Usage), "{bad}");
        }
    }

    #[test]
    fn a_location_is_read_as_browsers_do() {
        let here = HttpUrl::parse("https://a.example/x/y?q=1").expect("a URL");
        for (location, to) in [
            ("/z", Some("https://a.example/z")),
            ("z", Some("https://a.example/x/z")),
            ("./z", Some("https://a.example/x/z")),
            ("//b.example/z", Some("https://b.example/z")),
            ("http://b.example:8080/", Some("http://b.example:8080")),
            ("?p=2", Some("https://a.example/x/y?…")),
            ("javascript:alert(1)", Some("https://a.example/x/javascript:alert(1)")),
            ("ftp://b/", None),
            ("", None),
            ("https://u:p@b/", None),
        ] {
            assert_eq!(here.join(location).map(|u| u.shown().to_string()).as_deref(), to, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_location_breaks_a_request(location in "[ -~\\r\\n\\t]{0,60}") {
            let here = HttpUrl::parse("https://a.example/x").expect("a URL");
            if let Some(to) = here.join(&location) {
                prop_assert!(!to.path.contains(['\r', '\n', ' ']) && !to.host.contains(['\r', '\n', ' ', '/']), "{to:?}");
            }
        }
    }
}
