//! Words of the page of whoever has signed in, and of sessions.

use super::texts;

texts! { Account {
    title = "Your account",
    you = "You",
    account = "Account",
    signed_in_with = "Signed in with",
    new_secret = "A new secret",
    rotate_lead = "The access key that you signed in with gets a new secret, which is shown once. Programs that use the key need it, too. Where the old one ends at once, so do your sessions: sign in with the new one.",
    may_not_rotate = "Your policies do not let you change your own secret (iam:RotateAccessKey). An administrator gives you a new one.",
    sessions = "Your sessions",
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
