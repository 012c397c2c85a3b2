//! Who is told, as the file says it: channels by name, and which route leads to which of them. Resolves nothing and sends nothing; a file
//! that nobody trusted names no channel at all.

use super::{
    SecretRef, Sourced,
    build::{Builder, Problem},
    file::{At, Entries, Opt, Place},
    nearest,
    reference::RawValue,
};
use crate::{answer::Hint, safe, text::Safe};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Who is told when a watch finds trouble.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of notifications: channels, page, notify, record, runbook")]
#[schemars(rename = "notify")]
pub(super) struct RawNotify {
    /// The channels by name.
    pub channels: Entries<At<RawChannel>>,
    /// The channels that wake somebody; without it, all of them.
    pub page: Opt<Vec<At<String>>>,
    /// The channels that somebody reads at work; without it, those of page.
    pub notify: Opt<Vec<At<String>>>,
    /// The channels that only keep; without it, none.
    pub record: Opt<Vec<At<String>>>,
    /// Where it is written what to do; a part of every alert.
    pub runbook: Opt<At<String>>,
}

/// A channel: one of slack, discord, pagerduty, webhook, mail and command.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a channel: one of slack, discord, pagerduty, webhook, mail, command")]
#[schemars(rename = "channel")]
pub(super) struct RawChannel {
    /// The URL of an incoming webhook of Slack.
    pub slack: Opt<At<RawValue>>,
    /// The URL of a webhook of Discord.
    pub discord: Opt<At<RawValue>>,
    /// The integration key of PagerDuty's Events API v2.
    pub pagerduty: Opt<At<RawValue>>,
    /// The URL that gets the alert itself, as JSON.
    pub webhook: Opt<At<RawValue>>,
    /// A mail.
    pub mail: Opt<At<RawMail>>,
    /// A program and its arguments; it gets the alert as JSON on stdin.
    pub command: Opt<At<Vec<String>>>,
    /// Another address of PagerDuty: https://events.eu.pagerduty.com/v2/enqueue.
    pub url: Opt<At<String>>,
}

/// A mail.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mail: smtp, from, to")]
#[schemars(rename = "mail")]
pub(super) struct RawMail {
    /// The server: smtps://user:password@mail.example.org, or smtp:// with STARTTLS.
    pub smtp: Opt<At<RawValue>>,
    /// The sender.
    pub from: Opt<At<String>>,
    /// The receivers.
    pub to: Vec<At<String>>,
}

/// Where an alert goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "route")]
pub enum RouteName {
    /// Somebody is woken.
    #[default]
    Page,
    /// Somebody reads it at work.
    Notify,
    /// It is kept.
    Record,
}

impl RouteName {
    /// Its word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Notify => "notify",
            Self::Record => "record",
        }
    }
}

/// Who is told.
#[derive(Clone, Debug, Default)]
pub struct NotifySettings {
    /// The channels by name. Empty where the file is not trusted.
    pub channels: BTreeMap<String, Channel>,
    /// The channels that wake somebody.
    pub page: Vec<String>,
    /// The channels that somebody reads at work.
    pub notify: Vec<String>,
    /// The channels that only keep.
    pub record: Vec<String>,
    /// Where it is written what to do.
    pub runbook: Option<Safe>,
    /// Whether the file names channels that it may not use before somebody trusts it.
    pub untrusted: bool,
}

impl NotifySettings {
    /// The channels that a route leads to.
    pub fn of(&self, route: RouteName) -> &[String] {
        match route {
            RouteName::Page => &self.page,
            RouteName::Notify => &self.notify,
            RouteName::Record => &self.record,
        }
    }
}

/// One way to tell somebody.
#[derive(Clone, Debug)]
pub enum Channel {
    /// The URL of a webhook of Slack.
    Slack(Sourced<SecretRef>),
    /// The URL of a webhook of Discord.
    Discord(Sourced<SecretRef>),
    /// PagerDuty: the integration key, and its address where it is another.
    PagerDuty(Sourced<SecretRef>, Option<String>),
    /// The URL that gets the alert itself.
    Webhook(Sourced<SecretRef>),
    /// A mail: the server, the sender, the receivers.
    Mail(Sourced<SecretRef>, String, Vec<String>),
    /// A program.
    Command(Vec<String>),
}

impl Channel {
    /// What kind it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::Discord(_) => "discord",
            Self::PagerDuty(..) => "pagerduty",
            Self::Webhook(_) => "webhook",
            Self::Mail(..) => "mail",
            Self::Command(_) => "command",
        }
    }
}

impl Builder<'_> {
    /// The channels of a file.
    pub(super) fn notify(&mut self, raw: &Opt<RawNotify>) -> NotifySettings {
        let Some(raw) = &raw.0 else { return NotifySettings::default() };
        let mut settings = NotifySettings::default();
        for (name, At { value: channel, place }) in &raw.channels.0 {
            let shown = Safe::name(&name.value);
            let named = self.named(name);
            // Noted also where it is not trusted, so that `config trust` shows it.
            let may = self.may(*place, "sends notifications", &shown);
            settings.untrusted |= !may;
            if let Some(channel) = self.channel(&shown, *place, channel)
                && named
                && may
            {
                settings.channels.insert(name.value.clone(), channel);
            }
        }
        let known: Vec<&str> = raw.channels.0.iter().map(|(name, _)| name.value.as_str()).collect();
        let all = || known.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        settings.page = self.route("notify.page", &raw.page, &known).unwrap_or_else(all);
        settings.notify = self.route("notify.notify", &raw.notify, &known).unwrap_or_else(|| settings.page.clone());
        settings.record = self.route("notify.record", &raw.record, &known).unwrap_or_default();
        settings.runbook = raw.runbook.0.as_ref().and_then(|at| self.url("notify.runbook".into(), at)).map(Safe::name);
        settings
    }

    fn route(&mut self, key: &'static str, raw: &Opt<Vec<At<String>>>, known: &[&str]) -> Option<Vec<String>> {
        let raw = raw.0.as_ref()?;
        for at in raw.iter().filter(|at| !known.contains(&at.value.as_str())) {
            let hint = nearest(&at.value, known.iter().copied()).map(|near| Hint::Try(Safe::name(near)));
            self.problems.push(Problem { place: at.place, what: "there is no channel of this name".into(), hint });
        }
        Some(self.texts(key.into(), raw))
    }

    fn channel(&mut self, name: &Safe, place: Place, raw: &RawChannel) -> Option<Channel> {
        let key = |of: &'static str| safe!("notify.channels.{}.{}", *name, of);
        let RawChannel { slack, discord, pagerduty, webhook, mail, command, url } = raw;
        let said =
            [slack.0.is_some(), discord.0.is_some(), pagerduty.0.is_some(), webhook.0.is_some(), mail.0.is_some(), command.0.is_some()];
        if said.into_iter().filter(|said| *said).count() != 1 {
            return self.refuse(place, "a channel is one of slack, discord, pagerduty, webhook, mail and command");
        }
        self.unless(url.0.is_none() || pagerduty.0.is_some(), place, "url belongs to pagerduty; the others are URLs themselves")?;
        if let Some(at) = &slack.0 {
            return self.value(key("slack"), at, true).map(Channel::Slack);
        }
        if let Some(at) = &discord.0 {
            return self.value(key("discord"), at, true).map(Channel::Discord);
        }
        if let Some(at) = &webhook.0 {
            return self.value(key("webhook"), at, true).map(Channel::Webhook);
        }
        if let Some(at) = &pagerduty.0 {
            let url = match &url.0 {
                Some(url) => Some(self.url(key("url"), url)?),
                None => None,
            };
            return self.value(key("pagerduty"), at, true).map(|key| Channel::PagerDuty(key, url));
        }
        if let Some(At { value: mail, place }) = &mail.0 {
            let (Some(smtp), Some(from), false) = (&mail.smtp.0, &mail.from.0, mail.to.is_empty()) else {
                return self.refuse(*place, "a mail has a server, a sender and receivers: smtp, from, to");
            };
            let smtp = self.value(key("smtp"), smtp, true)?;
            let from = self.text(key("from"), from)?.value;
            return Some(Channel::Mail(smtp, from, self.texts(key("to"), &mail.to)));
        }
        let At { value: words, place } = command.0.as_ref()?;
        self.unless(
            words.first().is_some_and(|w| !w.is_empty()),
            *place,
            "a command is a program and its arguments: [logger, -t, obsctl]",
        )?;
        let from = self.origin(*place);
        self.record(key("command"), Safe::name(words.first().map_or("", String::as_str)), from, Vec::new());
        Some(Channel::Command(words.clone()))
    }
}
