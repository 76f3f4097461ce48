use url::Url;

use super::judge::{Judgement, judge};
use super::rules::{Rules, read};
use super::{Answer, AuthorizeQuestion, RedirectUri, Registration, Request};
use crate::codes::RegistrationCode::{
    self, ClientKnown, NotRegistered, Registered, Unclear, UnknownClient,
};
use crate::integrations::{Release, facts, known};
use crate::model::{
    ClientId, DesiredCredential, Domain, Implementation, Integration, MY_REDIRECT_URI, Secret,
};

/// An integration, the status and what is answered: where a redirect leads (with `BACK` for our redirect
/// URI and `OURS` for our state) or the page; and what follows.
type Row = (&'static str, u16, &'static str, RegistrationCode);

/// A server of which nothing is known.
const ANY: &str = "a_custom_one";

/// Answers as users and vendors have quoted them.
const QUOTED: &[Row] = &[
    (
        "netatmo",
        302,
        "https://other.example/?error=redirect_uri_mismatch&state=OURS",
        NotRegistered,
    ),
    ("google", 302, "/signin/oauth/error?authError=ChVyZWRpcmVjdF91cmlfbWlzbWF0Y2gY", Unclear),
    (
        "google_mail",
        302,
        "/signin/oauth/error?authError=ChVyZWRpcmVjdF91cmlfbWlzbWF0Y2gY",
        NotRegistered,
    ),
    ("youtube", 302, "/signin/oauth/error?authError=Cg5pbnZhbGlkX2NsaWVudCCRAw", UnknownClient),
    ("google_mail", 302, "/signin/oauth/error?authError=Cg9kaXNhYmxlZF9jbGllbnQ", Unclear),
    ("google_mail", 302, "/v3/signin/identifier?opparams=x", Registered),
    ("google_mail", 200, "<input id=\"identifierId\">", Registered),
    ("google_mail", 200, "<p>Error 400: redirect_uri_mismatch</p>", NotRegistered),
    ("nest", 200, "<p>Error 401: invalid_client</p>", UnknownClient),
    (ANY, 302, "/problem?error=redirect_mismatch&client_id=anna", NotRegistered),
    (
        "twitch",
        302,
        "https://first.example/cb?error=redirect_mismatch&error_description=Parameter+redirect_uri+does+not+match+registered+URI",
        NotRegistered,
    ),
    ("twitch", 400, r#"{"status":400,"message":"invalid client"}"#, UnknownClient),
    ("twitch", 302, "https://www.twitch.tv/login?client_id=x&redirect_params=y", ClientKnown),
    (
        ANY,
        302,
        "/authenticationendpoint/oauth2_error.do?oauthErrorCode=invalid_callback&oauthErrorMsg=Registered+callback+does+not+match",
        NotRegistered,
    ),
    (ANY, 400, r#"{"error":"invalid_redirect_uri"}"#, NotRegistered),
    (
        "onedrive_for_business",
        200,
        "<script>$Config={\"m\":\"AADSTS50011: The\"}</script>",
        NotRegistered,
    ),
    (
        "onedrive_for_business",
        200,
        "<script>$Config={\"m\":\"AADSTS700016: App\"}</script>",
        UnknownClient,
    ),
    (
        "watts",
        302,
        "https://other.example/?error=x&error_description=AADB2C90006%3A+The",
        NotRegistered,
    ),
    ("watts", 200, "<script>SETTINGS = {\"m\":\"AADB2C90068: not valid\"}</script>", UnknownClient),
    ("iotty", 400, "error:invalid_request error_description:The see ID2043", NotRegistered),
    ("iotty", 400, "error:invalid_request error_description:The see ID2052", UnknownClient),
    ("weheat", 400, "<p class=\"instruction\">Invalid parameter: redirect_uri</p>", NotRegistered),
    ("weheat", 400, "<p class=\"instruction\">Client not found.</p>", UnknownClient),
    ("weheat", 400, "<p class=\"instruction\">Client disabled.</p>", Unclear),
    ("bosch_smart_camera", 200, "<form id=\"kc-form-login\">", Registered),
    ("yoto", 403, "<h1>Callback URL mismatch.</h1>", NotRegistered),
    ("yoto", 403, "<p>Unknown client: x</p>", UnknownClient),
    (
        ANY,
        400,
        "<p>The &#39;redirect_uri&#39; parameter must be a Login redirect URI in the client app settings</p>",
        NotRegistered,
    ),
    (
        "husqvarna_automower",
        400,
        "Invalid client: `redirect_uri` does not match client value",
        NotRegistered,
    ),
    ("husqvarna_automower", 400, "Invalid client: client credentials are invalid", UnknownClient),
    (
        "lyric",
        400,
        r#"{"code":400, "message":"The redirect URL provided does not match the redirect URL registered for the app."}"#,
        NotRegistered,
    ),
    ("lyric", 302, "/oauth2/app/login?x", Registered),
    (
        "tesla_fleet",
        400,
        "The 'redirect_uri' supplied is not registered for this 'client_id'.",
        NotRegistered,
    ),
    (
        "tesla_fleet",
        400,
        r#"{"error":{"message":"We don't recognize this redirect URL. x","code":400}}"#,
        NotRegistered,
    ),
    ("tesla_fleet", 400, "<p>We don't recognize this client_id. Please use</p>", UnknownClient),
    ("tesla_fleet", 200, "<input id=\"form-input-identity\">", Registered),
    ("spotify", 400, "redirect_uri: Not matching configuration", NotRegistered),
    ("spotify", 400, "INVALID_CLIENT: Invalid redirect URI", NotRegistered),
    ("spotify", 400, "client_id: Invalid", UnknownClient),
    (
        "home_connect",
        400,
        r#"{"error":"unauthorized_client","error_description":"client or redirection URI not authorized"}"#,
        NotRegistered,
    ),
    (
        "electric_kiwi",
        400,
        r#"{"error":"invalid_request","error_description":"Invalid \"redirect_uri\" in request.","state":"s"}"#,
        NotRegistered,
    ),
    (
        "xbox",
        200,
        "<script>ServerData={\"m\":\"The value for redirect_uri is not valid\"}</script>",
        NotRegistered,
    ),
    (
        "xbox",
        302,
        "https://login.live.com/err.srf?lc=1033#error=unauthorized_client&error_description=The+client+does+not+exist+or+is+not+enabled+for+consumers",
        UnknownClient,
    ),
    (
        ANY,
        400,
        r#"{"error":"invalid_request","error_description":"Redirect URI https://a.example/b is not supported by client."}"#,
        NotRegistered,
    ),
    ("vicare", 400, "<title>Client not registered</title>", UnknownClient),
    ("dropbox", 400, "Error (400) Invalid client_id: \"x\".", UnknownClient),
    ("tibber", 302, "/login?returnUrl=x", Registered),
    (ANY, 400, r#"{"error":"invalid_client"}"#, UnknownClient),
];

/// Answers that only look like one of these, and others that prove nothing.
const UNCLEAR: &[Row] = &[
    (ANY, 503, r#"{"error":"invalid_client"}"#, Unclear),
    (ANY, 429, r#"{"error":"invalid_client"}"#, Unclear),
    (
        ANY,
        403,
        "<p>Client not found</p><script src=\"/cdn-cgi/challenge-platform/x\"></script>",
        Unclear,
    ),
    (ANY, 200, "<h1>Log in</h1><p>Client not found? Ask your administrator.</p>", Unclear),
    (ANY, 400, "<script>const words = [\"Client not found\"]</script>", Unclear),
    (ANY, 400, "<!-- invalid_client -->", Unclear),
    (ANY, 404, "<p>There is no such page</p>", Unclear),
    (ANY, 401, "", Unclear),
    (ANY, 302, "/login?next=x", Unclear),
    (ANY, 302, "/login?error=session_expired", Unclear),
    (ANY, 302, "BACK?error=login_required&state=another", Unclear),
    (ANY, 302, "BACK?error=login_required", Unclear),
    (ANY, 302, "BACK/more?error=login_required&state=OURS", Unclear),
    (
        ANY,
        302,
        "https://my.home-assistant.io.evil.example/redirect/oauth?error=login_required&state=OURS",
        Unclear,
    ),
    ("watts", 200, "<script>SETTINGS = {\"words\":[\"invalid client\"]}</script>", Unclear),
    ("spotify", 302, "/login?continue=x", Unclear),
    ("iotty", 400, "there was an error: unauthorized_client", Unclear),
    ("iotty", 400, "Sorry, there was an error : invalid_request", Unclear),
];

/// Our own redirect URI with our state.
const SENT_BACK: &[Row] = &[
    (ANY, 302, "BACK?error=login_required&state=OURS", Registered),
    (ANY, 303, "BACK?error=invalid_scope&error_description=no&state=OURS", Registered),
    (ANY, 302, "BACK#error=interaction_required&state=OURS", Registered),
    (ANY, 302, "BACK?code=c0de&state=OURS", Registered),
    (ANY, 302, "BACK?error=invalid_client&state=OURS", UnknownClient),
    (ANY, 302, "BACK?error=redirect_uri_mismatch&state=OURS", NotRegistered),
    ("withings", 302, "BACK?error=server_error&state=OURS", Registered),
];

fn all_rows() -> impl Iterator<Item = &'static Row> {
    QUOTED.iter().chain(UNCLEAR).chain(SENT_BACK)
}

fn request(domain: &str) -> Request {
    let domain = Domain::new(domain);
    let url = facts(&domain, None).and_then(|facts| facts.authorize_url.clone());
    Request {
        url: Url::parse(url.as_deref().unwrap_or("https://id.example/authorize")).unwrap(),
        back: Url::parse(MY_REDIRECT_URI).unwrap(),
        state: "st4te".to_owned(),
        client_id: ClientId::new("anna"),
        domain,
        is_error_page: false,
    }
}

fn judged(request: &Request, status: u16, text: &str, rules: &Rules) -> Judgement {
    let text = text.replace("BACK", MY_REDIRECT_URI).replace("OURS", &request.state);
    let is_redirect = (300..400).contains(&status);
    let location = is_redirect.then(|| request.url.join(&text).unwrap());
    let body = if is_redirect { String::new() } else { text };
    judge(request, &Answer { status, location, body }, rules.provider(&request.domain), rules)
}

fn registration((domain, status, text, _): &Row, rules: &Rules) -> Option<Registration> {
    match judged(&request(domain), *status, text, rules) {
        Judgement::Is(registration) => Some(registration),
        Judgement::Follow(_) => None,
    }
}

#[test]
fn each_answer_has_its_verdict() {
    let rules = read().unwrap();
    for row in all_rows() {
        let said = registration(row, &rules).unwrap_or_else(|| panic!("{row:?} is followed"));
        assert_eq!(said.code, row.3, "{row:?}: {}", said.why);
    }
}

/// What other tests are about: answers in two steps, and links with `prompt=none`.
const ELSEWHERE: &[&str] = &["(error|fehler|fel|feil)", "there was an error ?", "iotty", "yoto"];

#[test]
fn no_rule_can_be_taken_away_unseen() {
    let rules = read().unwrap();
    let before: Vec<_> = all_rows().map(|row| registration(row, &rules)).collect();
    let texts = rules.texts.len();
    let providers = rules.providers.len();
    let mut unseen = Vec::new();
    let mut fewer = read().unwrap();
    for taken in 0..texts + providers {
        let (name, put_back) = fewer.take(taken);
        let is_seen = all_rows().zip(&before).any(|(row, said)| registration(row, &fewer) != *said);
        if !is_seen && !ELSEWHERE.iter().any(|start| name.starts_with(start)) {
            unseen.push(name);
        }
        put_back(&mut fewer);
    }
    assert!(unseen.is_empty(), "no answer needs these:\n{}", unseen.join("\n"));
}

#[test]
fn rules_are_about_integrations_that_exist() {
    let rules = read().unwrap();
    assert!(rules.texts.len() > 25);
    let of_texts = rules.texts.iter().flat_map(|rule| &rule.only);
    let of_providers = rules.providers.iter().flat_map(|provider| &provider.integrations);
    for domain in of_texts.chain(of_providers).chain(rules.not_asked.keys()) {
        assert!(known().contains(&Domain::new(domain.as_str())), "{domain}");
    }
}

#[test]
fn the_page_about_an_error_is_read_and_no_other() {
    let rules = read().unwrap();
    for (domain, location, is_followed) in [
        ("myuplink", "/oauth/error?errorId=CfDJ", true),
        (ANY, "/oauth2/fallbacks/error?x=1", true),
        ("onedrive", "https://login.live.com/oauth20_authorize.srf?x", true),
        (ANY, "https://login.live.com/oauth20_authorize.srf?x", false),
        ("onedrive", "http://login.live.com/oauth20_authorize.srf?x", false),
        (ANY, "https://other.example/error?errorId=1", false),
        (ANY, "http://id.example/error?errorId=1", false),
        (ANY, "/error?code=c0de", false),
        (ANY, "/errors-of-ours", false),
        (ANY, "/login", false),
        (ANY, "BACK?error=login_required&state=OURS", false),
    ] {
        let judged = judged(&request(domain), 302, location, &rules);
        assert_eq!(matches!(judged, Judgement::Follow(_)), is_followed, "{location}: {judged:?}");
    }
    let page = |domain, status, text: &str| {
        let request = Request { is_error_page: true, ..request(domain) };
        match judged(&request, status, text, &rules) {
            Judgement::Is(registration) => registration.code,
            Judgement::Follow(url) => panic!("{url} is followed as well"),
        }
    };
    assert_eq!(
        page("myuplink", 200, "Sorry, there was an error : unauthorized_client"),
        UnknownClient
    );
    assert_eq!(page("tibber", 200, "Det oppsto en feil: invalid_request"), NotRegistered);
    assert_eq!(page("senz", 302, "/error?errorId=2"), Unclear);
    assert_eq!(page(ANY, 200, "<p>Unknown client or client not enabled</p>"), UnknownClient);
}

#[test]
fn what_a_server_repeats_of_us_proves_nothing() {
    let rules = read().unwrap();
    let named = |client_id: &str| Request { client_id: ClientId::new(client_id), ..request(ANY) };
    let code = |request: &Request, text| match judged(request, 400, text, &rules) {
        Judgement::Is(registration) => registration.code,
        Judgement::Follow(url) => panic!("{url}"),
    };
    let odd = named("invalid_client");
    assert_eq!(code(&odd, "No scope was asked for by invalid_client."), Unclear);
    assert_eq!(code(&named("client"), "Client not found"), UnknownClient);
    assert_eq!(code(&named("e"), r#"{"error":"invalid_client"}"#), UnknownClient);
}

#[test]
fn the_providers_words_are_on_one_line_and_name_nobody_elses_address() {
    let rules = read().unwrap();
    let why = |domain: &'static str, status, text| {
        registration(&(domain, status, text, Unclear), &rules).unwrap().why
    };
    assert_eq!(
        why(
            "twitch",
            302,
            "https://first.example/cb?error=redirect_mismatch&error_description=It+does%0Anot"
        ),
        "redirect_mismatch: It does not"
    );
    assert_eq!(
        why(
            "electric_kiwi",
            400,
            r#"{"error":"invalid_request","error_description":"Invalid \"redirect_uri\" in request."}"#
        ),
        "invalid_request: Invalid redirect_uri in request"
    );
    assert_eq!(
        why(ANY, 400, "<h1>Sorry.</h1><p>Client\u{1b}[31m not found. Call us.</p>"),
        "it answers 400"
    );
    assert_eq!(
        why(ANY, 400, "<h1>Sorry.</h1><p>Client not found. Call us.</p>"),
        "Client not found"
    );
    let long = format!("<p>{} invalid_client {}</p>", "a ".repeat(400), "b ".repeat(400));
    let said = match judged(&request(ANY), 400, &long, &rules) {
        Judgement::Is(said) => said.why,
        Judgement::Follow(url) => panic!("{url}"),
    };
    assert!(said.contains("invalid_client") && said.len() <= 160, "{said}");
}

fn entry(domain: &str, integration: Integration) -> DesiredCredential {
    DesiredCredential {
        domain: Domain::new(domain),
        client_id: ClientId::new("anna"),
        client_secret: Secret::new("hush").into(),
        integration,
        ..DesiredCredential::example("a")
    }
}

fn question(domain: &str, authorize_url: Option<&str>) -> AuthorizeQuestion {
    let authorize_url = authorize_url.map(str::to_owned);
    let entry = entry(domain, Integration { authorize_url, ..Integration::default() });
    AuthorizeQuestion::of(&entry, Release::of(Some("2026.11")), RedirectUri::of(None))
}

fn sent(question: &AuthorizeQuestion) -> Vec<(String, String)> {
    let url = question.request().unwrap().url;
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

#[test]
fn the_link_is_home_assistants_own() {
    let link = sent(&question("dropbox", None));
    let of = |name: &str| link.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(of("response_type"), Some("code"));
    assert_eq!((of("client_id"), of("redirect_uri")), (Some("anna"), Some(MY_REDIRECT_URI)));
    assert_eq!(of("token_access_type"), Some("offline"));
    assert!(of("scope").unwrap().contains("files.content.write"));
    assert_eq!(of("code_challenge_method"), Some("S256"));
    assert_eq!(of("prompt"), None);
    assert!(of("state").unwrap().len() >= 20);
    assert_ne!(sent(&question("dropbox", None)), link, "state and challenge are fresh");

    let prompt = |domain, url| {
        let link = sent(&question(domain, url));
        let prompts: Vec<_> = link.into_iter().filter(|(name, _)| name == "prompt").collect();
        prompts.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(prompt("google_mail", None), ["none"], "in the place of `consent`");
    assert_eq!([prompt("iotty", None), prompt("yoto", None)], [["none"], ["none"]]);
    assert_eq!(prompt("tesla_fleet", None), ["login"]);
    assert_eq!(prompt("spotify", None), [""; 0]);
    assert_eq!(prompt(ANY, Some("https://id.example/a?scope=openid+email")), ["none"]);
    assert_eq!(prompt(ANY, Some("https://id.example/a")), [""; 0]);
    let nest = question("nest", None).request().unwrap().url;
    assert!(nest.as_str().starts_with("https://accounts.google.com/o/oauth2/v2/auth?"));
}

#[test]
fn who_must_not_be_asked_is_not_asked() {
    let why = |domain: &str, url| question(domain, url).request().map(|_| ()).unwrap_err();
    let secret = "the integration writes the client secret into its link";
    assert_eq!(why("neato", None), secret);
    assert_eq!(why("neato", Some("https://id.example/a")), secret);
    assert_eq!(why("gentex_homelink", None), "the integration uses a client of its own");
    assert!(why("teslemetry", None).contains("one client"));
    assert!(why("withings", None).contains("after login"));
    assert_eq!(why("mcp", None), "no authorize endpoint is known");
    assert_eq!(why(ANY, None), "no authorize endpoint is known");
    assert!(question("mcp", Some("https://id.example/a")).request().is_ok());
    for url in ["http://id.example/a", "ftp://127.0.0.1/a", "https://a:b@id.example/"] {
        assert_eq!(why(ANY, Some(url)), "its address is not https");
    }
    let cloud = Integration { implementation: Implementation::Cloud, ..Integration::default() };
    let question = AuthorizeQuestion::of(&entry("spotify", cloud), None, RedirectUri::of(None));
    assert!(question.request().unwrap_err().contains("Cloud"));
}

#[test]
fn the_rules_of_a_provider_hold_at_its_own_address() {
    assert!(question("google_mail", None).provider().is_some());
    assert!(question("google_mail", Some("https://id.example/a")).provider().is_none());
}

#[test]
fn a_no_counts_where_it_is_said_twice() {
    let said = |code, why: &str| Registration::new(code, why);
    let no = said(NotRegistered, "first");
    let both = |second| no.clone().confirmed_by(second);
    assert_eq!(both(said(NotRegistered, "second")), said(NotRegistered, "second"));
    assert_eq!(both(said(UnknownClient, "second")).code, UnknownClient);
    assert_eq!(both(said(Registered, "second")).code, Registered);
    assert_eq!(
        both(said(Unclear, "it answers 503")),
        said(Unclear, "it said \"first\", and then: it answers 503")
    );
}
