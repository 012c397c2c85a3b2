//! The one table of keys whose values are hidden. Names match exactly after case and separators (`X-Api-Key`, `x_api_key`, `xApiKey`),
//! never as substrings: `prompt_tokens`, `token_count` are figures.

use super::SecretKind;
use std::{collections::HashMap, sync::LazyLock};

/// How the value under a key is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The whole value. Numbers too (PINs, one-time passwords); not `true`, `false`, `null`.
    Whole(SecretKind),
    /// As `Whole`, but the name is an everyday word as well: in prose (`token: expired`) a plain word after it is no secret.
    Everyday(SecretKind),
    /// The scheme stays, what follows is hidden.
    Authorization,
    /// Everything, up to the last of `a=1; b=2`.
    Cookie,
    /// Each address by itself, so that every hop of `X-Forwarded-For` can be followed.
    Address,
    /// A number of a card's length.
    Card,
}

/// The table, words joined by `_`. A separator may stand or be missing between the words.
const TABLE: &[(Class, &[&str])] = &[
    (
        Class::Whole(SecretKind::Secret),
        &[
            // Passwords, and the names that Django's forms, settings and the usual containers give them.
            "pass_word",
            "pass_words",
            "pass_wd",
            "pwd",
            "pass_phrase",
            "pass_code",
            "password1",
            "password2",
            "old_password",
            "new_password",
            "new_password1",
            "new_password2",
            "current_password",
            "confirm_password",
            "password_confirm",
            "password_confirmation",
            "password_hash",
            "hashed_password",
            "user_password",
            "admin_password",
            "root_password",
            "db_password",
            "db_pass",
            "db_pwd",
            "database_password",
            "pg_password",
            "pg_pass",
            "postgres_password",
            "mysql_password",
            "mysql_pwd",
            "mysql_root_password",
            "redis_password",
            "redis_pass",
            "rediscli_auth",
            "rabbitmq_password",
            "rabbitmq_default_pass",
            "amqp_password",
            "broker_password",
            "smtp_password",
            "email_password",
            "email_host_password",
            "ssl_password",
            "sasl_password",
            "bind_password",
            "ldap_password",
            "keystore_password",
            // Secrets and keys.
            "secret",
            "secrets",
            "secret_key",
            "secret_key_base",
            "secret_token",
            "secret_value",
            "django_secret_key",
            "flask_secret_key",
            "jwt_secret",
            "jwt_secret_key",
            "client_secret",
            "app_secret",
            "consumer_secret",
            "shared_secret",
            "webhook_secret",
            "signing_secret",
            "stripe_secret_key",
            "totp_secret",
            "secret_access_key",
            "aws_secret_access_key",
            "aws_secret_key",
            "api_key",
            "api_keys",
            "x_api_key",
            "api_secret",
            "api_secret_key",
            "app_key",
            "access_key",
            "account_key",
            "auth_key",
            "master_key",
            "signing_key",
            "encryption_key",
            "fernet_key",
            "private_key",
            "private_key_pem",
            "ssh_key",
            "ssh_private_key",
            "ssl_key",
            "sentry_key",
            // Tokens by a full name.
            "api_token",
            "auth_token",
            "x_auth_token",
            "access_token",
            "refresh_token",
            "id_token",
            "bearer_token",
            "oauth_token",
            "oauth_token_secret",
            "jwt_token",
            "session_token",
            "aws_session_token",
            "x_amz_security_token",
            "x_amz_signature",
            "x_amz_credential",
            "x_goog_signature",
            "csrf_token",
            "x_csrf_token",
            "xsrf_token",
            "x_xsrf_token",
            "csrf_middleware_token",
            "reset_token",
            "password_reset_token",
            "verification_token",
            "activation_token",
            "invite_token",
            "device_token",
            "fcm_token",
            "bot_token",
            "github_token",
            "gh_token",
            "gitlab_token",
            "slack_token",
            "npm_token",
            "vault_token",
            "x_vault_token",
            "x_scope_token",
            "token_secret",
            // Short codes.
            "otp",
            "otp_code",
            "otp_token",
            "totp",
            "mfa_code",
            "pin_code",
            "cvv",
            "cvv2",
            "cvc",
            "card_cvc",
            "security_code",
        ],
    ),
    (Class::Everyday(SecretKind::Secret), &["token", "auth", "credential", "credentials", "csrf", "pass", "pin", "jwt"]),
    (Class::Everyday(SecretKind::SessionId), &["session"]),
    (
        Class::Whole(SecretKind::SessionId),
        &["session_id", "session_key", "php_sess_id", "j_session_id", "asp_net_session_id", "connect_sid"],
    ),
    (Class::Authorization, &["authorization", "proxy_authorization", "x_authorization"]),
    (Class::Cookie, &["cookie", "cookies", "set_cookie", "set_cookie2"]),
    (
        Class::Address,
        &[
            "x_forwarded_for",
            "forwarded_for",
            "x_real_ip",
            "real_ip",
            "ip",
            "ip_address",
            "ip_addr",
            "remote_addr",
            "remote_address",
            "remote_ip",
            "client_ip",
            "x_client_ip",
            "x_cluster_client_ip",
            "cf_connecting_ip",
            "true_client_ip",
            "user_ip",
        ],
    ),
    (
        Class::Card,
        &[
            "card",
            "card_number",
            "card_no",
            "card_num",
            "cc",
            "cc_number",
            "cc_num",
            "credit_card",
            "credit_card_number",
            "debit_card",
            "pan",
        ],
    ),
    (Class::Whole(SecretKind::Ssn), &["ssn", "social_security_number"]),
    (Class::Whole(SecretKind::Iban), &["iban"]),
];

static CLASSES: LazyLock<HashMap<Vec<u8>, Class>> = LazyLock::new(|| {
    let entries = TABLE.iter().flat_map(|(class, names)| names.iter().map(move |name| (name, *class)));
    entries.map(|(name, class)| (name.bytes().filter(|b| *b != b'_').collect(), class)).collect()
});

/// Longer names are no key of the table.
const LONGEST: usize = 40;

/// How the value under this key is hidden; None when it is not. A path (`request.headers.authorization`, `user[password]`) counts by
/// its last step, a WSGI variable (`HTTP_COOKIE`) by its header.
pub(super) fn class(name: &[u8]) -> Option<Class> {
    exact(name).or_else(|| {
        let last = name.rsplit(|b| b".[]/:\"'".contains(b)).find(|step| !step.is_empty())?;
        (last.len() < name.len()).then(|| exact(last)).flatten()
    })
}

fn exact(name: &[u8]) -> Option<Class> {
    let mut plain = [0_u8; LONGEST];
    let mut length = 0;
    for &b in name {
        if b.is_ascii_alphanumeric() {
            *plain.get_mut(length)? = b.to_ascii_lowercase();
            length += 1;
        } else if !b"_-. ".contains(&b) {
            return None;
        }
    }
    let plain = &plain[..length];
    CLASSES.get(plain).or_else(|| CLASSES.get(plain.strip_prefix(b"http")?)).copied()
}

/// A regular expression that matches wherever a key of the table may stand.
pub(super) fn hint() -> String {
    let names = TABLE.iter().flat_map(|(_, names)| *names);
    // A name is followed by a quote, a separator, a space or an escape; `tokens`, `shipping`, `authenticated` raise no suspicion.
    format!("(?:{})[^a-z0-9]", names.map(|name| name.replace('_', "[-_. ]{0,2}")).collect::<Vec<_>>().join("|"))
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, Class)> {
    TABLE.iter().flat_map(|(class, names)| names.iter().map(move |name| (*name, *class)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_after_case_and_separators() {
        for name in [
            "password",
            "PASSWORD",
            "Pass-Word",
            "dbPassword",
            "DB_PASSWORD",
            "X-Api-Key",
            "xApiKey",
            "api key",
            "api.key",
            "HTTP_AUTHORIZATION",
            "HTTP_X_CSRFTOKEN",
            "http.request.header.set_cookie",
            "request.headers.Authorization",
            "user[password]",
            "connect.sid",
            "JSESSIONID",
        ] {
            assert!(class(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn figures_and_names_around_them_are_no_keys() {
        for name in [
            "tokens",
            "prompt_tokens",
            "token_count",
            "max_token",
            "authenticated",
            "author",
            "auth_backend",
            "secretary",
            "sessions",
            "session_count",
            "zip",
            "pipeline",
            "cookie_policy",
            "password_changed_at",
            "has_password",
            "key",
            "",
            "__",
            "request_id",
            "trace_id",
        ] {
            assert_eq!(class(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn every_name_of_the_table_fits() {
        for (name, expected) in all() {
            assert_eq!(class(name.as_bytes()), Some(expected), "{name}");
        }
    }
}
