//! `myfsio healthcheck`: asks the node of this configuration for `/healthz`, so that a container needs no other program to
//! watch it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::tls::over_tls_with_anybody;

const TIMEOUT: Duration = Duration::from_secs(4);
const ANSWER_BYTES_MAX: u64 = 8 * 1024;

/// Asks the node at `host` and `port`, over TLS if it has a certificate. The error tells why it is not well.
pub fn ask(host: IpAddr, port: u16, tls: bool) -> Result<(), String> {
    if port == 0 {
        return Err("healthcheck: PORT is 0: the node's port is not known".to_owned());
    }
    let address = SocketAddr::new(reachable(host), port);
    let answer = exchange(address, tls).map_err(|error| format!("healthcheck: {address}: {error}"))?;
    if is_well(&answer) {
        Ok(())
    } else {
        let status = answer.lines().next().unwrap_or("no answer").chars().take(80).collect::<String>();
        Err(format!("healthcheck: {address}: {}", status.escape_debug()))
    }
}

/// A listener on every address is asked on loopback.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

fn exchange(address: SocketAddr, tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    match tls {
        true => ask_over(over_tls_with_anybody(stream, address.ip())?, address),
        false => ask_over(stream, address),
    }
}

fn ask_over(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    // One write: in several, an answer that needs no whole request could close the connection between them.
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_well(answer: &str) -> bool {
    answer.lines().next().is_some_and(|status| {
        let mut words = status.split(' ');
        words.next().is_some_and(|version| version.starts_with("HTTP/1.")) && words.next() == Some("200")
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn node_that_says(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            assert!(asked[..length].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        port
    }

    #[test]
    fn only_200_is_well() {
        let ask_it = |answer| ask("0.0.0.0".parse().unwrap(), node_that_says(answer), false);
        assert_eq!(ask_it("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok(()));
        let error = ask_it("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err();
        assert!(error.ends_with("HTTP/1.1 503 Service Unavailable"), "{error}");
        assert!(ask_it("").is_err());
        assert!(ask_it("SSH-2.0-x 200\r\n").is_err());
        assert!(ask("127.0.0.1".parse().unwrap(), 0, false).is_err());
    }
}
