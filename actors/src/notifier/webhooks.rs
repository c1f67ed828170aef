//! `webhooks.json`: `{"webhooks": {"<name>": {"url": "https://…", "token": "…", "enabled": true}}}`, compiled.
//!
//! A token is sent as `Authorization: Bearer …`. One that a person wrote as `token` is sealed as soon as the node sees it, and
//! then stands there as `token_sealed`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::arn::is_name;
use super::deliver::WebhookUrl;
use crate::json_store::{Mistake, Schema};
use crate::seal::{SealError, Sealer, SecretKey};

/// What sealed tokens are for; part of what the seal protects.
const SEAL_PURPOSE: &str = "webhook token";

/// One webhook.
#[derive(Debug)]
pub struct Webhook {
    pub url: WebhookUrl,
    pub token: Option<SecretKey>,
    pub enabled: bool,
}

/// All webhooks by their names.
#[derive(Debug, Default)]
pub struct Webhooks(HashMap<String, Arc<Webhook>>);

impl Webhooks {
    /// The webhook of this name, if it may be used. Errs: why not.
    pub fn usable(&self, name: &str) -> Result<Arc<Webhook>, String> {
        match self.0.get(name) {
            Some(webhook) if webhook.enabled => Ok(Arc::clone(webhook)),
            Some(_) => Err(format!("the webhook `{name}` is disabled")),
            None => Err(format!("no webhook is called `{name}`")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookRecord {
    url: String,
    token: Option<String>,
    token_sealed: Option<String>,
    enabled: Option<bool>,
}

/// How the file is read.
#[derive(Debug)]
pub struct WebhookFile {
    pub sealer: Sealer,
}

impl WebhookFile {
    /// The document of a node without webhooks.
    pub fn empty() -> Value {
        serde_json::json!({"webhooks": {}})
    }

    fn webhook(&self, record: &Value) -> Result<Webhook, String> {
        let record = WebhookRecord::deserialize(record).map_err(|error| error.to_string())?;
        let token = match (&record.token, &record.token_sealed) {
            (Some(_), Some(_)) => return Err("has both `token` and `token_sealed`".to_owned()),
            (Some(token), None) => Some(SecretKey::new(token)),
            (None, Some(sealed)) => {
                Some(self.sealer.unseal(SEAL_PURPOSE, sealed).map_err(|error| format!("`token_sealed`: {error}"))?)
            }
            (None, None) => None,
        };
        if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err("its token has characters that no header can carry".to_owned());
        }
        Ok(Webhook { url: WebhookUrl::parse(&record.url)?, token, enabled: record.enabled.unwrap_or(true) })
    }
}

impl Schema for WebhookFile {
    type State = Webhooks;

    fn compile(&self, text: &str, document: &Value) -> Result<Webhooks, Mistake> {
        let map = document.as_object().ok_or_else(|| Mistake::near(text, "", "must be a JSON object".to_owned()))?;
        let webhooks = match map.get("webhooks") {
            None => return Ok(Webhooks::default()),
            Some(Value::Object(webhooks)) => webhooks,
            Some(_) => return Err(Mistake::near(text, "webhooks", "`webhooks` must be a JSON object".to_owned())),
        };
        let mut compiled = HashMap::with_capacity(webhooks.len());
        for (name, record) in webhooks {
            if !is_name(name) {
                return Err(Mistake::near(text, name, format!("`{name}` is no name for a webhook")));
            }
            let webhook = self.webhook(record);
            let webhook = webhook.map_err(|reason| Mistake::near(text, name, format!("webhook `{name}`: {reason}")))?;
            compiled.insert(name.clone(), Arc::new(webhook));
        }
        Ok(Webhooks(compiled))
    }
}

/// Seals the tokens that stand there in plain text, or under a previous key.
pub fn seal_tokens(document: &mut Value, sealer: &Sealer) -> Result<(), SealError> {
    let Some(Value::Object(webhooks)) = document.get_mut("webhooks") else { return Ok(()) };
    for webhook in webhooks.values_mut().filter_map(Value::as_object_mut) {
        let text = |webhook: &Map<String, Value>, name| webhook.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(token) = text(webhook, "token") {
            webhook.shift_remove("token");
            webhook.insert("token_sealed".to_owned(), sealer.seal(SEAL_PURPOSE, &token)?.into());
        } else if let Some(sealed) = text(webhook, "token_sealed").filter(|sealed| sealer.is_outdated(sealed)) {
            let token = sealer.unseal(SEAL_PURPOSE, &sealed)?;
            webhook.insert("token_sealed".to_owned(), sealer.seal(SEAL_PURPOSE, token.expose())?.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sealer(key: &str, previous: &[&str]) -> Sealer {
        let previous: Vec<_> = previous.iter().map(|key| SecretKey::new(key)).collect();
        Sealer::new(&SecretKey::new(key), &previous).unwrap()
    }

    fn compile(document: &Value, sealer: Sealer) -> Result<Webhooks, Mistake> {
        WebhookFile { sealer }.compile(&serde_json::to_string_pretty(document).unwrap(), document)
    }

    #[test]
    fn webhooks_are_read_and_tokens_sealed() {
        let mut document = json!({"webhooks": {
            "news": {"url": "https://example.com/hook?a=b", "token": "secret"},
            "off": {"url": "http://example.com", "enabled": false},
        }});
        let webhooks = compile(&document, sealer("one", &[])).unwrap();
        assert_eq!(webhooks.usable("news").unwrap().token.as_ref().unwrap().expose(), "secret");
        assert!(webhooks.usable("off").unwrap_err().contains("disabled"));
        assert!(webhooks.usable("other").unwrap_err().contains("no webhook"));
        seal_tokens(&mut document, &sealer("one", &[])).unwrap();
        assert!(!document.to_string().contains("secret\""));
        let token = |document: &Value, sealer| {
            let webhook = compile(document, sealer).unwrap().usable("news").unwrap();
            webhook.token.as_ref().unwrap().expose().to_owned()
        };
        assert_eq!(token(&document, sealer("one", &[])), "secret");
        assert!(compile(&document, sealer("two", &[])).is_err());
        seal_tokens(&mut document, &sealer("two", &["one"])).unwrap();
        assert_eq!(token(&document, sealer("two", &[])), "secret");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (record, word) in [
            (json!({}), "url"),
            (json!({"url": "ftp://example.com"}), "http"),
            (json!({"url": "example.com"}), "URL"),
            (json!({"url": "http://user:password@example.com"}), "password"),
            (json!({"url": "http://example.com", "tokn": "x"}), "tokn"),
            (json!({"url": "http://example.com", "token": "a b"}), "token"),
            (json!({"url": "http://example.com", "token": "a", "token_sealed": "b"}), "both"),
            (json!({"url": "http://example.com", "token_sealed": "b"}), "token_sealed"),
        ] {
            let mistake = compile(&json!({"webhooks": {"hook": record}}), sealer("one", &[])).unwrap_err();
            assert!(mistake.reason.contains(word), "{}", mistake.reason);
            assert_eq!(mistake.line, Some(3));
        }
        assert!(compile(&json!({"webhooks": {"a:b": {"url": "http://example.com"}}}), sealer("one", &[])).is_err());
    }
}
