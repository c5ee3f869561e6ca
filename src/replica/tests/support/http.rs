//! The least of HTTP/1.1, to send what the client of the `pocket-ic` crate would never send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pocket_ic::PocketIc;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A connection to the server that runs `pic`.
pub(crate) fn connect(pic: &PocketIc) -> TcpStream {
    let url = pic.get_server_url();
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let stream = TcpStream::connect(address).expect("the server accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// The head of a request that announces a JSON body of `size` bytes.
pub(crate) fn head(method: &str, path: &str, size: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )
}

/// Sends a request and waits for the response.
pub(crate) fn request(pic: &PocketIc, method: &str, path: &str, body: &str) -> Response {
    let mut stream = connect(pic);
    stream.write_all(head(method, path, body.len()).as_bytes()).expect("the head is sent");
    // A server may refuse a body before it has read it all.
    let _refused = stream.write_all(body.as_bytes());
    let mut response = Vec::new();
    let _closed = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (_, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    Response { status: status.unwrap_or_else(|| panic!("not HTTP: {response:?}")), body: body.to_owned() }
}

/// The path of an endpoint of the instance of `pic`.
pub(crate) fn path(pic: &PocketIc, endpoint: &str) -> String {
    format!("/instances/{}/{endpoint}", pic.instance_id())
}
