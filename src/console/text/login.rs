//! Words of the log-in.

use super::texts;

texts! { Login {
    title = "Sign in",
    lead = "with an access key of this node",
    access_key = "Access key",
    secret_key = "Secret key",
    show = "Show",
    hide = "Hide",
    button = "Sign in",
    wrong = "The access key and the secret key do not belong together, or may not be used.",
    locked = "Too many wrong secret keys for this access key from your address. Try again after",
    well_known = "This access key still has its well-known first-boot secret, which is good on the node's own machine only.",
    busy = "The node is busy. Try again in a moment.",
    old = "This page was open too long. Try again.",
    signed_out = "You have signed out.",
} }
