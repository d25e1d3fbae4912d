// Generated from crates/wire by `TOUCHKEEP_BLESS=1 cargo test -p touchkeep-wire`; a test compares it. Do not edit.
// What the web view may know: no type here has room for a PIN, a passphrase or an API secret.

/* eslint-disable */

/** Why something did not happen. */
export const CODES = [
  "locked",
  "no-vault",
  "vault-exists",
  "damaged",
  "too-new",
  "not-found",
  "ambiguous",
  "invalid",
  "no-device",
  "device-busy",
  "device-removed",
  "device-failed",
  "wrong-pin",
  "wrong-passphrase",
  "pin-blocked",
  "factory-pin",
  "no-touch",
  "refused",
  "denied",
  "timed-out",
  "unreadable",
  "audit-failed",
  "unreachable",
  "protocol-mismatch",
  "not-permitted",
  "system",
] as const;
export type Code = (typeof CODES)[number];

/** Why a call did not do what it was asked: a stable code, what happened, and what to do. */
export type Failure = {
/** Stable; front ends and scripts match on it. */
code: Code,
/** What happened, in one sentence. */
what: string,
/** What to do about it. Where nothing can be done, what it means. */
fix: string, };

/** How things are. */
export type Status = {
/** The open or configured vault. */
vault: VaultSummary | null,
/** Where that file is, or would be. */
path: string,
/** Whether it is open. */
unlocked: boolean,
/** The proxy's base address, while it listens. */
proxy: string | null,
/** For how many seconds more trade keys are armed. */
armed: number | null,
/** What a person should know of how the vault is locked here, in a sentence. */
note: string | null,
/** What a person should look into: keys that somebody else uses too. */
attention: Array<Attention>,
/** Keys whose time is over; none while it is locked. */
late: LateKeys | null,
/** Prompts that wait for a person. */
waiting: number,
/** Who asks nobody for a while, because its last questions went unanswered or were refused. */
resting: Array<Resting>,
/** The agent's version. */
version: string, };

/** How many keys' time is over. */
export type LateKeys = {
/** They have ended at their venue or service. */
expired: number,
/** They are older than their rule says, and have not ended. */
overdue: number, };

/** Something that a person should look into. */
export type Attention = {
/** What was seen, in a sentence. */
what: string,
/** What it means and what to do. */
fix: string, };

/** Whose questions went unanswered, or were refused, so that it asks nobody for a while. */
export type Resting = {
/** `client grid-bot`, or `program /usr/bin/python3`. */
asker: string,
/** For how many seconds more. */
seconds_left: number,
/** Because a person refused them, and not because nobody answered. */
refused: boolean, };

/** A vault, in short. */
export type VaultSummary = {
/** Its id. */
id: string,
/** Its file. */
path: string,
/** Made for practice. */
practice: boolean,
/** Enrolled devices. */
devices: Array<EnrolledDevice>,
/** How many items; none said while locked. */
items: number | null,
/** Why it can be read but not changed, in a sentence. */
read_only: string | null,
/** Whether a second device, or a recovery kit, was shown to open it; none said while locked. */
rehearsed: boolean | null, };

/** A device that the vault knows. */
export type EnrolledDevice = {
/** Its id in the vault. */
id: string,
/** `software`, `piv`, `pkcs11`. */
kind: string,
/** What to call it. */
label: string,
/** Its serial number. */
serial: string | null,
/** What opening a sealed value with it costs: `touch`, `kit`, `session`; none where nothing is sealed to it. */
seals: string | null,
/** Lost or put away. */
retired: boolean, };

/** An item, without its secret. */
export type ItemSummary = {
/** Its id. */
id: string,
/** Its name. */
name: string,
/** `exchange-key`, `api-key`, `oauth-client`, `otp-seed`, `ssh-key`, `note`, `login`. */
kind: string,
/** The display name of its environment. */
environment: string,
/** Words to find it by, in order. */
tags: Array<string>,
/** When it was put into the trash. */
trashed: number | null,
/** When it was seen in plaintext: to be rotated. */
plaintext_seen: number | null,
/** Its venue; empty for other kinds than exchange keys, as the next two. */
venue: string,
/** The venue account. */
key_set: string,
/** `read`, `trade`, `move-money`, `key-admin`. */
class: string,
/** `stored`, `sealed`, `on-device`, `missing`. */
secret: string,
/** The first and last characters of the API key. */
api_key_hint: string,
/** When the key was made at the venue. */
created: number,
/** When it is due. */
due: number | null,
/** When it ends by itself at its venue or service. */
expires: number | null, };

/** A page of the audit log. */
export type AuditPage = {
/** Newest first. */
rows: Array<AuditRow>,
/** Rows in the log. */
size: number,
/** Rows up to here are under a signed checkpoint. */
signed: number, };

/** One row of the audit log. */
export type AuditRow = {
/** Its number, from 1. */
seq: number,
/** When. */
time: number,
/** What kind of event. */
kind: string,
/** `allowed`, `approved`, `touched`, `denied`, `refused`, `failed`, `info`. */
decision: string,
/** What happened, in a sentence; absent while locked. */
what: string | null,
/** Who asked; absent while locked. */
client: string | null,
/** Which item; absent while locked. */
item: string | null,
/** For an outcome: the row of its intent. */
of: number | null,
/** Further facts, as name and value. */
details: Array<[string, string]>,
/** The row's leaf hash, in hex. */
leaf: string, };

/** What the verifier found. */
export type AuditVerdict = {
/** Whether everything fits. */
sound: boolean,
/** Rows in the log. */
size: number,
/** Rows under a signed checkpoint. */
signed: number,
/** The tree's root, in hex. */
root: string,
/** The first bad row. */
first_bad: number | null,
/** What is wrong with it. */
problem: string | null, };

/** A key and its age. */
export type KeyAge = {
/** The item. */
item: string,
/** Its name. */
name: string,
/** Its venue. */
venue: string,
/** When it was made. */
created: number,
/** When it is due; none where it has no rule. */
due: number | null,
/** Days until then, a begun one counted; 0 or less once it is due. */
days_left: number | null,
/** When it ends by itself at its venue; none where nobody said so. */
expires: number | null,
/** Days until then, counted in the same way. */
expires_in_days: number | null, };

/** A question to a person. */
export type Prompt = {
/** Its id. */
id: string,
/** What programs ask for is counted by the agent since it was started, so that every front end calls it by the same
 * number; 0 for everything else. */
number: number,
/** When it was asked. */
asked: number,
/** When silence becomes a refusal. */
deadline: number,
/** What is asked. */
question: Question,
/** Who brought it up; none where that is a call of a front end, or the agent itself. */
asker?: PromptAsker | null, };

/** What is asked. */
export type Question = { "kind": "approval" } & Approval | { "kind": "use" } & UseRequest | { "kind": "touch",
/** Which device. */
device: string,
/** What for, in a sentence; what that means in full follows on lines of their own. */
why: string,
/** The PIN is to be typed at the device. */
pad: boolean, } | { "kind": "pin",
/** Which device. */
device: string,
/** What for, as of [`Question::Touch`]. */
why: string,
/** Tries left, where the device says so. */
tries_left: number | null, } | { "kind": "puk",
/** Which device. */
device: string,
/** What for, as of [`Question::Touch`]. */
why: string,
/** Tries left. */
tries_left: number | null, } | { "kind": "new-pin",
/** Which device. */
device: string,
/** `PIN` or `PUK`. */
which: string, } | { "kind": "passphrase",
/** What for, as of [`Question::Touch`]. */
why: string, } | { "kind": "new-passphrase",
/** So many characters it has at least. */
least: number, } | { "kind": "words",
/** Which kit. */
device: string,
/** What for, as of [`Question::Touch`]. */
why: string, };

/** A request that wants a person's word. */
export type Approval = {
/** In plain words: `Withdraw 0.5 BTC on Binance to bc1q…`. */
sentence: string,
/** `read`, `trade`, `cancel`, `leverage`, `transfer`, `withdraw`, `key-admin`, `unknown`. */
operation: string,
/** The decoded facts, as name and value, in the order to be shown; values with every character visible. */
facts: Array<[string, string]>,
/** Exactly the same was asked for shortly before: how often, and when last. Empty where it was not. To be shown loudly:
 * it may be a replay. */
again: string,
/** What is unusual about it: `first time to this address`. */
unusual: Array<string>,
/** The client's name. */
client: string,
/** What is known of the process that asks, outermost first. Information, never proof. */
process: Array<string>,
/** What that process runs; empty where it cannot be seen. */
executable: string,
/** The terminal or the systemd unit that it runs in; empty where it runs in neither. */
place: string,
/** The item whose key will sign. */
key: string,
/** Where that key is, and what its use takes: `sealed, opened by a touch`. */
kept: string,
/** The rule that asks. */
rule: string,
/** Whether the device is to be touched. */
touch: boolean,
/** SHA-256 of what will be signed, in hex; comes back in [`Answer::Approve`]. */
digest: string,
/** Made for practice: no real money. */
practice: boolean,
/** What a yes may be given to beside this request; none where it can be to nothing more. */
more: More | null, };

/** Requests like this one, which a yes may cover for a time. */
export type More = {
/** Which, in plain words: `grid-bot buys up to 0.01 BTCUSDT at 20000 or less`. */
what: string,
/** For how many minutes; one of these. */
minutes: Array<number>,
/** For how many requests at most. */
uses: number, };

/** A program that wants values, and is not known to be allowed to. */
export type UseRequest = {
/** In plain words: `python3 asks for 2 values`. */
sentence: string,
/** The values, by name: `prod/main-trade: secret`. Never what they are. */
values: Array<string>,
/** What they are for: `to print them`, `for a program that is started`. */
purpose: string,
/** The program that asks. */
client: string,
/** What it runs; empty where that cannot be seen. */
executable: string,
/** It and its parents, outermost first. */
process: Array<string>,
/** The terminal or the systemd unit that it runs in; empty where it runs in neither. */
place: string,
/** What is unusual about it: `its program was replaced since it was started`. */
unusual: Array<string>,
/** What may be answered beside a refusal, the least first. */
scopes: Array<Scope>,
/** For how many minutes more than a single use is remembered. */
minutes: number,
/** The process that connected; the terminal that it was started in may ask. */
pid: number,
/** A vault for practice. */
practice: boolean, };

/** For how much a yes to a [`UseRequest`] holds. */
export type Scope = "once" | "process" | "terminal";

/** Who brought a question up. */
export type PromptAsker = {
/** As whoever rests is called: `client grid-bot`, `program /usr/bin/python3`. */
name: string,
/** The process whose call it is; none for a client's request. */
pid: number | null, };

/** How a question ended. */
export type PromptClosed = {
/** Which. */
prompt: string,
/** `approved`, `allowed`, `refused`, `answered`, `timed-out`, `locked`, `done`, `failed`. */
outcome: string,
/** Who asks nobody for a while from now on, where a refusal brought that, or that nobody answered. */
rests?: Resting | null, };

/** How it went with what a person allowed; said once the question is closed, of a yes alone. */
export type PromptWent = {
/** Which. */
prompt: string,
/** Why it was not done, or not known to be; none where it was done. */
code: Code | null,
/** What happened, in a sentence. */
what: string, };

/** Something changed; ask again for what you show. */
export type Changed = {
/** `vault`, `items`, `audit`, `clients`, `grants`, `policy`, `reminders`. */
what: string, };
