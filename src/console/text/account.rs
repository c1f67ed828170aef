//! Words of the page of one's own sessions.

use super::texts;

texts! { Account {
    title = "Your sessions",
    lead = "Each browser in which you have signed in with this access key. A session ends after 30 minutes without a request, after 12 hours, and with its access key.",
    this = "This browser",
    browser = "Browser",
    address = "Address",
    began = "Signed in",
    seen = "Last request",
    ago = "ago",
    end = "Sign out",
    end_all = "Sign out everywhere",
    everybodys = "Sessions of everybody",
    everybodys_lead = "Each browser in which somebody has signed in, whoever asked last first. A session that is ended here ends at once; its access key stays good.",
    more = "more are not shown.",
    user = "User",
    ended = "The session has ended.",
} }
