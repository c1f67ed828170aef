//! Rules that concern several settings at once, and settings that this build cannot honour yet. Plain rules without I/O.

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

/// Refuses to serve under a setting that this build does not honour: an operator who asked for TLS must not
/// get a node that silently does without. Each part removes its row when it arrives.
pub fn check_available(config: &Config, values: &Values) -> Result<(), ConfigError> {
    match config.tls_cert_path {
        Some(_) => Err(values.complain("tls_cert_path", "this version has no TLS yet; unset it to start without")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::resolve::{flag_layer, resolve};
    use super::*;

    fn verdict(pairs: &[(&'static str, &str)]) -> (Result<(), ConfigError>, Result<(), ConfigError>) {
        let flags = pairs.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        let values = resolve(&[flag_layer(&flags)], 1);
        let config = Config::from_values(&values).unwrap();
        (check(&config, &values), check_available(&config, &values))
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(verdict(&[]), (Ok(()), Ok(())));
        assert!(verdict(&[("port", "7000"), ("ui_port", "7000")]).0.is_err());
        assert!(verdict(&[("port", "0"), ("ui_port", "0")]).0.is_ok(), "two free ports differ");
        assert!(verdict(&[("website_port", "5000")]).0.is_err());
        assert!(verdict(&[("website_port", "8080"), ("website_domains", "web.test")]).0.is_ok());
        assert!(verdict(&[("base_domains", "a.test,b.test"), ("website_domains", "b.test")]).0.is_err());
        assert!(verdict(&[("tls_cert_path", "c.pem")]).0.is_err());
        assert!(verdict(&[("tls_key_path", "k.pem")]).0.is_err());
    }

    #[test]
    fn what_is_not_built_is_not_served() {
        assert!(verdict(&[("encryption_enabled", "true"), ("kms_enabled", "true")]).1.is_ok());
        assert!(verdict(&[("tls_key_path", "k.pem"), ("tls_cert_path", "c.pem")]).1.is_err());
    }
}
