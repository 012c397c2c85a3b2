//! From flags and variables to a session and an output: what every command needs before it starts.
#![expect(clippy::disallowed_methods, reason = "the zone of the machine becomes the zone of the session here")]

use crate::{
    cli::{Global, Output},
    config::{self, Inputs, KubeTarget, Vars},
    connect::{http::Proxies, kube::KubeAsk},
    error::{Error, Kind, Result},
    report::{Format, Look, Out, out::Colour},
    session::{Session, Stop},
    store,
    text::{MaskKey, Redactor, Safe},
};
use jiff::tz::TimeZone;

/// What the configuration is made of.
///
/// # Errors
/// The working folder is gone.
pub fn inputs(global: &Global, vars: Vars) -> Result<Inputs> {
    let cwd =
        std::env::current_dir().map_err(|e| Error::new(Kind::Config, "looking at the working folder").what(Safe::name(e.to_string())))?;
    let Global { config, env, context, namespace, kubeconfig, .. } = global.clone();
    Ok(Inputs { config, env, context, namespace, kubeconfig, vars, cwd })
}

/// Which cluster, by flags, environment and variables.
pub fn kube_ask(global: &Global, target: Option<&KubeTarget>, vars: &Vars) -> KubeAsk {
    let of_env = target.and_then(|t| t.kubeconfig.as_ref()).map(|k| k.value.clone());
    let explicit = global.kubeconfig.clone().or(of_env);
    KubeAsk {
        context: target.and_then(|t| t.context.as_ref()).map(|c| c.value.clone()).or_else(|| global.context.clone()),
        namespace: target.and_then(|t| t.namespace.as_ref()).map(|n| n.value.clone()).or_else(|| global.namespace.clone()),
        explicit: explicit.is_some(),
        files: explicit.map_or_else(|| vars.kubeconfig(), |f| vec![f]),
        proxy: vars.https_proxy().map(str::to_owned),
        no_proxy: vars.no_proxy().map(str::to_owned),
    }
}

/// The session of a command.
///
/// # Errors
/// The configuration cannot be used.
pub fn session(global: &Global, vars: Vars, stop: Stop) -> Result<Session> {
    let env = config::load(&inputs(global, vars.clone())?)?;
    let ask = env.kube.as_ref().map(|target| kube_ask(global, Some(target), &vars));
    let redact = redactor(global, &vars);
    let owned = |proxy: Option<&str>| proxy.map(str::to_owned);
    let proxies = Proxies { https: owned(vars.https_proxy()), http: owned(vars.http_proxy()), none_for: owned(vars.no_proxy()) };
    let session = Session::new(env, ask, redact, stop, zone(global, &vars));
    Ok(session.remembering_in(config::state_folder(&vars)).with_proxies(proxies))
}

/// What hides secrets, by flags and the user's own key.
pub fn redactor(global: &Global, vars: &Vars) -> Redactor {
    let redact = Redactor::new(mask_key(vars));
    if global.show_sensitive { redact.showing_sensitive() } else { redact }
}

/// The user's own, so that a mask can be followed from one run to the next; one for this run where nothing can be stored.
fn mask_key(vars: &Vars) -> MaskKey {
    let stored = config::state_folder(vars).map(|folder| store::mask_key(&folder));
    stored.and_then(|key| key.inspect_err(|e| tracing::debug!("masks are of this run only: {e}")).ok()).unwrap_or_default()
}

fn zone(global: &Global, vars: &Vars) -> TimeZone {
    if !global.local {
        return TimeZone::UTC;
    }
    vars.time_zone().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system)
}

/// The output: form, width and colour, decided once.
pub fn out(global: &Global, vars: &Vars) -> Out {
    let format = match global.output {
        Output::Human => Format::Human,
        Output::Json => Format::Json,
        Output::Ndjson => Format::Ndjson,
    };
    let colour = match global.colour() {
        Colour::Auto if vars.no_color() || vars.dumb_terminal() => Colour::Never,
        Colour::Auto if vars.force_color() => Colour::Always,
        Colour::Auto if vars.clicolor_off() => Colour::Never,
        decided => decided,
    };
    let width = vars.columns().map(usize::from).or_else(terminal_width).unwrap_or(100).clamp(60, 240);
    let look = Look { width, colour: false, zone: zone(global, vars), verbose: global.verbose };
    Out::process(format, look, colour, global.quiet)
}

/// The width of the terminal behind stdout; none in a pipe.
fn terminal_width() -> Option<usize> {
    let mut table = comfy_table::Table::new();
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.is_tty().then(|| table.width().map(usize::from)).flatten()
}
