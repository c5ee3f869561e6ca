//! What web pages may ask for. Any page that a developer looks at can send requests to a server on his machine,
//! under its own name (`Origin`) or, with a name server that lies, under the server's (`Host`).
use super::error::ApiError;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use std::net::IpAddr;

/// What a browser says of the relation between the page that asks and the server that is asked (W3C, "Fetch
/// Metadata Request Headers").
const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";
const DESTINATION: &str = "sec-fetch-dest";

/// The host that a request names, without its port.
pub(crate) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = named.or_else(|| uri.authority().map(|authority| authority.as_str()))?;
    Some(without_port(authority))
}

fn without_port(authority: &str) -> &str {
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Refuses names that a name server could have pointed here: a page of such a name would count as our own. An
/// address, and what ends in `localhost`, is nobody's to give away (RFC 6761).
pub(crate) fn check_host(headers: &HeaderMap, uri: &Uri, domains: &[String]) -> Result<(), ApiError> {
    let Some(host) = host(headers, uri) else { return Ok(()) };
    let is_within = |domain: &str| {
        let rest = host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at));
        rest.is_some_and(|(before, end)| {
            end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
        })
    };
    if host.parse::<IpAddr>().is_ok()
        || is_within("localhost")
        || domains.iter().any(|domain| is_within(domain))
    {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "the host {host} could be a web page's: ask for an IP address or for localhost"
    )))
}

/// Refuses what a page sends: the protocol is for programs.
pub(crate) fn refuse_pages(headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    if origin.is_none() && !is_of_another_site(headers) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "a web page ({}) may not use this server; pages reach canisters through an HTTP gateway (`make_live`)",
        origin.as_deref().unwrap_or("of another site")
    )))
}

/// What a request to a page of a canister may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Of the page itself, of a program, or of somebody who typed the address.
    Own,
    /// Somebody followed a link on a page elsewhere: may see the page, but nothing changes.
    Link,
}

/// Refuses what pages of other origins send to a page of a canister, but links.
pub(crate) fn trust(headers: &HeaderMap) -> Result<Trust, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let refused =
        |who: &str| Err(ApiError::forbidden(format!("{who} may not send requests to this canister's page")));
    if let Some(origin) = headers.get(ORIGIN) {
        let host = headers.get(HOST).map_or(&[][..], |host| host.as_bytes());
        let scheme_end = origin.as_bytes().windows(3).position(|part| part == b"://").map(|at| at + 3);
        let of_host = scheme_end.map(|at| &origin.as_bytes()[at..]);
        if !of_host.is_some_and(|of_host| of_host.eq_ignore_ascii_case(host)) {
            return refused(&format!("a page of {}", String::from_utf8_lossy(origin.as_bytes())));
        }
    }
    if !is_of_another_site(headers) {
        return Ok(Trust::Own);
    }
    match (text(MODE), text(DESTINATION)) {
        (Some("navigate"), Some("document")) => Ok(Trust::Link),
        _ => refused("a page of another site"),
    }
}

fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get(SITE).is_some_and(|site| site == "cross-site" || site == "same-site")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn hosts(host: &str, domains: &[String]) -> bool {
        check_host(&headers(&[("host", host)]), &Uri::from_static("/"), domains).is_ok()
    }

    #[test]
    fn only_names_that_nobody_else_can_point_here_are_taken() {
        for host in
            ["localhost", "LocalHost:80", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3", "a.b.localhost:1"]
        {
            assert!(hosts(host, &[]), "{host}");
        }
        for host in
            ["evil.example:8000", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", ""]
        {
            assert!(!hosts(host, &[]), "{host}");
        }
        let domains = ["dapp.test".to_string()];
        assert!(hosts("dapp.test:1", &domains) && hosts("aaaaa-aa.dapp.test", &domains));
        assert!(!hosts("mydapp.test", &domains) && !hosts("dapp.test.evil.example", &domains));
        assert!(check_host(&headers(&[]), &Uri::from_static("http://evil.example/"), &[]).is_err());
        assert!(check_host(&headers(&[]), &Uri::from_static("/"), &[]).is_ok(), "no browser leaves it out");
    }

    #[test]
    fn no_page_may_use_the_protocol() {
        for pairs in [
            &[("origin", "http://127.0.0.1:1")][..],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(refuse_pages(&headers(pairs)).unwrap_err().message.contains("make_live"), "{pairs:?}");
        }
        for pairs in [&[][..], &[("sec-fetch-mode", "cors")], &[("sec-fetch-site", "none")]] {
            assert!(refuse_pages(&headers(pairs)).is_ok(), "{pairs:?}");
        }
    }

    #[test]
    fn a_canister_s_page_may_use_itself_and_others_may_only_link_to_it() {
        let host = ("host", "a.localhost:8000");
        for pairs in [
            &[host][..],
            &[host, ("origin", "http://a.localhost:8000"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        ] {
            assert_eq!(trust(&headers(pairs)), Ok(Trust::Own), "{pairs:?}");
        }
        let link = [
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(trust(&headers(&link)), Ok(Trust::Link));
        for pairs in [
            &[host, ("origin", "http://b.localhost:8000")][..],
            &[host, ("origin", "http://a.localhost:8001")],
            &[host, ("origin", "null")],
            &[
                host,
                ("origin", "http://evil.example"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            &[
                host,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
            &[
                host,
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
        ] {
            assert!(trust(&headers(pairs)).is_err(), "{pairs:?}");
        }
    }
}
