//! Rules that concern several settings at once. Plain rules without I/O.

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
        assert!(verdict(&[("tls_cert_path", "c.pem")]).is_err());
        assert!(verdict(&[("tls_key_path", "k.pem")]).is_err());
        assert!(verdict(&[("tls_key_path", "k.pem"), ("tls_cert_path", "c.pem")]).is_ok());
    }
}
