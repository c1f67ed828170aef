//! Rules that concern several settings at once. Plain rules without I/O.

use std::net::SocketAddr;

use super::resolve::Values;
use super::setting::ConfigError;
use super::settings::Config;

/// Refuses settings that contradict each other.
pub fn check(config: &Config, values: &Values) -> Result<(), ConfigError> {
    if config.port != 0 && config.port == config.ui_port {
        return Err(values.complain("ui_port", format!("{} is the port of the API already", config.ui_port)));
    }
    if let Some(port) = config.website_port.filter(|port| *port != 0)
        && (port == config.port || port == config.ui_port)
    {
        return Err(values.complain("website_port", format!("{port} is the port of the API or the console already")));
    }
    if let Some(domain) = config.website_domains.iter().find(|domain| config.base_domains.contains(domain)) {
        return Err(values.complain("website_domains", format!("{domain} is one of BASE_DOMAINS already")));
    }
    check_preview_origin(config, values)?;
    match (&config.tls_cert_path, &config.tls_key_path) {
        (Some(_), None) => return Err(values.complain("tls_cert_path", "needs TLS_KEY_PATH beside it")),
        (None, Some(_)) => return Err(values.complain("tls_key_path", "needs TLS_CERT_PATH beside it")),
        _ => {}
    }
    if config.storage_root.as_os_str().is_empty() {
        return Err(values.complain("storage_root", "needs a value"));
    }
    Ok(())
}

/// Previews come from elsewhere than what has cookies and signatures, else nothing would be gained.
fn check_preview_origin(config: &Config, values: &Values) -> Result<(), ConfigError> {
    let Some(origin) = &config.console_preview_origin else { return Ok(()) };
    let scheme = if config.tls_cert_path.is_some() { "https" } else { "http" };
    let own = [config.ui_port, config.port].map(|port| format!("{scheme}://{}", SocketAddr::new(config.host, port)));
    let public = [&config.ui_base_url, &config.api_base_url];
    let is_of = |url: &String| origin_of(url) == *origin;
    match public.into_iter().flatten().any(is_of) || own.iter().any(is_of) {
        true => Err(values.complain(
            "console_preview_origin",
            format!("{origin} is where the console or the API is: give previews a name of their own"),
        )),
        false => Ok(()),
    }
}

/// The origin of a URL (RFC 6454, section 4), without a port that its scheme has anyway.
fn origin_of(url: &str) -> String {
    let url = url.to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", authority.strip_suffix(usual).unwrap_or(authority))
}

#[cfg(test)]
mod tests {
    use super::super::resolve::{flag_layer, resolve};
    use super::*;

    fn verdict(pairs: &[(&'static str, &str)]) -> Result<(), ConfigError> {
        let flags = pairs.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        let values = resolve(&[flag_layer(&flags)], 1);
        let config = Config::from_values(&values).unwrap();
        check(&config, &values)
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(verdict(&[]), Ok(()));
        assert!(verdict(&[("port", "7000"), ("ui_port", "7000")]).is_err());
        assert!(verdict(&[("port", "0"), ("ui_port", "0")]).is_ok(), "two free ports differ");
        assert!(verdict(&[("website_port", "5000")]).is_err());
        assert!(verdict(&[("website_port", "8080"), ("website_domains", "web.test")]).is_ok());
        assert!(verdict(&[("base_domains", "a.test,b.test"), ("website_domains", "b.test")]).is_err());
        let previews = |origin: &'static str| {
            let known = [("ui_base_url", "https://Ui.test:443/x"), ("api_base_url", "https://s3.test")];
            verdict(&[known[0], known[1], ("console_preview_origin", origin)])
        };
        for taken in ["https://ui.test", "https://s3.test", "http://127.0.0.1:5100", "http://127.0.0.1:5000"] {
            assert!(previews(taken).is_err(), "{taken}");
        }
        assert!(previews("https://previews.test").is_ok() && previews("http://localhost:5100").is_ok());
        assert!(verdict(&[("tls_cert_path", "c.pem")]).is_err());
        assert!(verdict(&[("tls_key_path", "k.pem")]).is_err());
        assert!(verdict(&[("tls_key_path", "k.pem"), ("tls_cert_path", "c.pem")]).is_ok());
    }
}
