//! Which canister a request is for.
use super::super::browsers::host;
use axum::http::header::REFERER;
use axum::http::{HeaderMap, Uri};
use candid::Principal;

/// Where canisters have their pages, besides the domains of the gateway's configuration.
const LOCAL: &str = "localhost";

/// The canister that a request names: by its host (`CANISTER.localhost`, `CANISTER.raw.localhost`), by the parameter
/// `canisterId`, or by either of the page that it was sent from, as PocketIC's gateway does.
pub(super) fn canister(headers: &HeaderMap, uri: &Uri, domains: &[String]) -> Option<Principal> {
    let named = host(headers, uri).and_then(|host| of_host(host, domains));
    named.or_else(|| of_query(uri)).or_else(|| {
        let page: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
        page.host().and_then(|host| of_host(host, domains)).or_else(|| of_query(&page))
    })
}

fn of_host(host: &str, domains: &[String]) -> Option<Principal> {
    let host = host.to_ascii_lowercase();
    let domains = domains.iter().map(String::as_str).chain([LOCAL]);
    domains.into_iter().find_map(|domain| {
        let label = host.strip_suffix(&domain.to_ascii_lowercase())?.strip_suffix('.')?;
        let label = label.strip_suffix(".raw").unwrap_or(label);
        Principal::from_text(label).ok()
    })
}

fn of_query(uri: &Uri) -> Option<Principal> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find_map(|(name, value)| (name == "canisterId").then(|| Principal::from_text(value).ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "rrkah-fqaaa-aaaaa-aaaaq-cai";

    fn named(host: &str, uri: &str, referer: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        if let Some(referer) = referer {
            headers.insert(REFERER, referer.parse().unwrap());
        }
        let found = canister(&headers, &uri.parse().unwrap(), &["dapp.test".to_string()]);
        assert!(found.is_none_or(|id| id.to_text() == ID), "{found:?}");
        found.is_some()
    }

    #[test]
    fn a_canister_is_named_by_the_host_the_query_or_the_page_before() {
        for host in [format!("{ID}.localhost:1"), format!("{ID}.raw.localhost"), format!("{ID}.dapp.test:80")]
        {
            assert!(named(&host, "/", None), "{host}");
        }
        assert!(named("127.0.0.1:8000", &format!("/a?x=1&canisterId={ID}"), None));
        assert!(named("localhost", "/style.css", Some(&format!("http://localhost/?canisterId={ID}"))));
        assert!(named("localhost", "/style.css", Some(&format!("http://{ID}.localhost:8000/"))));
    }

    #[test]
    fn nothing_else_names_one() {
        let of_another_domain = format!("{ID}.example");
        for host in ["localhost", "x.localhost", "127.0.0.1", of_another_domain.as_str()] {
            assert!(!named(host, "/", Some("http://localhost/")), "{host}");
        }
        assert!(!named("localhost", "/?canisterId=x&canisterid=y", None));
    }
}
