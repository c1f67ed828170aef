//! A browser without scripts: follows redirects by hand, keeps cookies, sends forms as they stand on the page.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use scraper::{ElementRef, Html, Selector};

use crate::support::{Node, free_port};

/// A node whose console is asked, too.
pub struct ConsoleNode {
    /// The node.
    pub node: Node,
    /// `http://127.0.0.1:port` of its console.
    pub console: String,
}

impl ConsoleNode {
    /// Starts a node with these settings added, and waits for its console.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let settings: Vec<_> = [("UI_PORT", text.as_str())].into_iter().chain(settings.iter().copied()).collect();
        Self { node: Node::start(&settings), console: format!("http://127.0.0.1:{port}") }
    }

    /// A browser at its console.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.console)
    }

    /// A browser in which somebody has signed in.
    pub async fn signed_in(&self, (access_key, secret_key): (&str, &str)) -> Browser {
        let browser = self.browser();
        let page = browser.sign_in(access_key, secret_key).await;
        assert_eq!(page.status, 303, "{access_key} does not get in: {}", page.text);
        browser
    }
}

/// A browser.
pub struct Browser {
    client: Client,
    console: String,
}

/// What was answered.
pub struct Shown {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub text: String,
    /// Bytes of the body as they were sent.
    pub bytes: usize,
}

impl Browser {
    /// One that has been nowhere.
    pub fn new(console: &str) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        });
        let client = Client::builder()
            .cookie_store(true)
            .pool_max_idle_per_host(0)
            .redirect(Policy::none())
            .timeout(Duration::from_secs(30));
        Self { client: client.build().unwrap(), console: console.to_owned() }
    }

    /// Sends a request as it is.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Shown {
        let answer = self.send(method, path, headers, body).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.unwrap_or_default();
        Shown { status, headers, text: String::from_utf8_lossy(&body).into_owned(), bytes: body.len() }
    }

    /// Asks for a stream; reads it until it holds this text, or ends.
    pub async fn follow(&self, path: &str, until: &str) -> Shown {
        let mut answer = self.send("GET", path, &[], None).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut shown = Shown { status, headers, text: String::new(), bytes: 0 };
        while !shown.text.contains(until) {
            let Some(chunk) = answer.chunk().await.unwrap() else { break };
            shown.text.push_str(&String::from_utf8_lossy(&chunk));
            shown.bytes += chunk.len();
        }
        shown
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> reqwest::Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.console));
        for (name, value) in headers {
            let (name, value) = (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.unwrap()
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Shown {
        self.ask("GET", path, &[], None).await
    }

    /// Sends fields as a form, with no more than they say.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let body = encode(fields);
        self.ask("POST", path, &[("content-type", "application/x-www-form-urlencoded")], Some(body)).await
    }

    /// Fills in the form of a page that goes to `action`, and sends it.
    pub async fn submit(&self, page: &Shown, action: &str, fields: &[(&str, &str)]) -> Shown {
        let mut all = page.form(action);
        for (name, value) in fields {
            all.insert((*name).to_owned(), (*value).to_owned());
        }
        let fields: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &fields).await
    }

    /// Signs in.
    pub async fn sign_in(&self, access_key: &str, secret_key: &str) -> Shown {
        let page = self.get("/ui/login").await;
        self.submit(&page, "/ui/login", &[("access_key", access_key), ("secret_key", secret_key)]).await
    }

    /// The token of a page's forms.
    pub async fn token(&self) -> String {
        self.get("/ui/buckets").await.form("/ui/logout").remove("csrf").unwrap()
    }
}

impl Shown {
    /// Where it sends the browser.
    pub fn location(&self) -> &str {
        self.headers.get("location").map_or("", |value| value.to_str().unwrap())
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The page.
    pub fn html(&self) -> Html {
        Html::parse_document(&self.text)
    }

    /// The texts of what a selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let html = self.html();
        html.select(&Selector::parse(selector).unwrap()).map(text_of).collect()
    }

    /// An attribute of what a selector finds.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let html = self.html();
        let selector = Selector::parse(selector).unwrap();
        html.select(&selector).filter_map(|element| element.value().attr(name)).map(str::to_owned).collect()
    }

    /// The fields of the form that posts to `action`, as they stand; unticked boxes are left out.
    pub fn form(&self, action: &str) -> BTreeMap<String, String> {
        let html = self.html();
        let forms = Selector::parse("form").unwrap();
        let is_meant = |form: &ElementRef<'_>| {
            form.value().attr("action") == Some(action) && form.value().attr("method") == Some("post")
        };
        let mut of_action = html.select(&forms).filter(is_meant);
        let form = of_action.next().unwrap_or_else(|| panic!("no form goes to {action}: {}", self.text));
        let mut fields = BTreeMap::new();
        for field in form.select(&Selector::parse("input[name], textarea[name], select[name]").unwrap()) {
            let element = field.value();
            let kind = element.attr("type").unwrap_or_default();
            if matches!(kind, "checkbox" | "radio") && element.attr("checked").is_none() {
                continue;
            }
            let value = match element.name() {
                "textarea" => field.text().collect(),
                "select" => chosen(field),
                _ => element.attr("value").unwrap_or_default().to_owned(),
            };
            fields.insert(element.attr("name").unwrap().to_owned(), value);
        }
        fields
    }
}

fn chosen(select: ElementRef<'_>) -> String {
    let options: Vec<_> = select.select(&Selector::parse("option").unwrap()).collect();
    let chosen = options.iter().find(|option| option.value().attr("selected").is_some()).or(options.first());
    chosen.and_then(|option| option.value().attr("value")).unwrap_or_default().to_owned()
}

fn text_of(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fields as a form sends them.
pub fn encode(fields: &[(&str, &str)]) -> String {
    let part = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    fields.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect::<Vec<_>>().join("&")
}

/// Waits until something holds. For what is done behind the answer.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
