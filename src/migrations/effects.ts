import { afterComment, afterEscaped, afterQuoted, dollarTag, identifier } from './split.ts';

/** What a statement changes, by the names that it says; see `anything` for those that it does not say. */
export interface Effects {
  /** What it makes, or sets. */
  readonly makes: Set<string>;
  /** What it takes away, or sets to something else. */
  readonly takes: Set<string>;
  /** What was surely there and is taken away: not by DROP … IF EXISTS, which often stands before a CREATE. */
  readonly lost: Set<string>;
  /** Tables from whose names the server may make others. */
  readonly bases: Set<string>;
}

/** A name that is put together at run time, or is spelt by escapes. */
export const anything = '*';

interface Token {
  readonly kind: 'word' | 'name' | 'code' | 'sign';
  /** Folded; the content of a string or of a `$$` body. */
  readonly text: string;
}

const blank = /[ \t\r\n\f\v]+|--[^\r\n]*/y;

function* tokensOf(text: string): Generator<Token> {
  for (let at = 0; at < text.length;) {
    const from = at;
    const until = (end: number): number => (at = end < 0 ? text.length : end);
    const sign = text.charAt(at);
    const escapes = /^u&"/i.test(text.slice(at, at + 3));
    blank.lastIndex = identifier.lastIndex = dollarTag.lastIndex = at;
    if (blank.test(text)) at = blank.lastIndex;
    else if (text.startsWith('/*', at)) until(afterComment(text, at));
    else if (sign === '"' || escapes) {
      until(afterQuoted(text, escapes ? at + 2 : at, '"'));
      yield { kind: 'name', text: escapes ? anything : folded(text.slice(from + 1, at - 1)) };
    } else if (sign === "'" || /^e'/i.test(text.slice(at, at + 2))) {
      until(sign === "'" ? afterQuoted(text, at, "'") : afterEscaped(text, at + 1));
      yield { kind: 'code', text: text.slice(from + (sign === "'" ? 1 : 2), at - 1).replaceAll("''", "'") };
    } else if (identifier.test(text)) {
      at = identifier.lastIndex;
      yield { kind: 'word', text: folded(text.slice(from, at)) };
    } else if (sign === '$' && dollarTag.test(text)) {
      const body = dollarTag.lastIndex;
      const closing = text.indexOf(text.slice(from, body), body);
      until(closing < 0 ? -1 : closing + body - from);
      yield { kind: 'code', text: text.slice(body, closing < 0 ? undefined : closing) };
    } else {
      at++;
      yield { kind: 'sign', text: sign };
    }
  }
}

/** Without regard to case, and as long as the server keeps names. */
function folded(name: string): string {
  return name.slice(0, 63).toLowerCase();
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '));

const makers = words('create add insert into copy merge enable force attach inherit');
const takers = words('drop delete truncate disable detach no');
/** They begin a statement, and stand for something else inside of one. */
const beginners = words('create drop alter grant revoke comment truncate');
/** They stand anywhere in a query; behind the signs below they are rights or events. */
const queries = words('insert update delete merge copy');
const rightsAndEvents = words('on or for before after of key , grant revoke');
/** What follows a name in ALTER. */
const actions = words(
  'add drop alter rename enable force disable attach detach inherit no set reset type owner',
);
/** In these, words for changes are definitions or rights, and nothing is called. */
const definitions = words('create alter drop grant revoke comment');
const callers = words('select call do perform with execute values explain prepare');
/** Names behind them are only read. */
const reading = words(
  'from join using references select values where as default check execute returning is with when returns language set',
);
/** What stands right behind these is a name, even if it is a keyword. */
const kinds = words(
  'table column constraint view index sequence schema type domain function procedure routine aggregate trigger policy rule role user group database extension collation publication subscription server statistics exists attribute',
);
const notNames = words(
  'if not exists only concurrently on all in to by for materialized foreign event temp temporary null cascade restrict security row rows level access method data wrapper primary key unique statement force inherit value cast operator class family text search large object owned identity expression partition tables sequences functions routines types schemas public table mapping none',
);
/** What holds others: with CASCADE they go with it, and no statement names them. */
const holders = words('schema extension server wrapper language');
const begins = words('begin declare then else loop');
const takingCall =
  /drop|delet|remov|truncat|revo[kc]|revert|detach|disabl|undo|roll_?back|un(?:install|register|schedule)/;
const makingCall = /^add|_add|creat|insert|regist|enabl|attach|install|schedul/;

/** Strings in strings in bodies: nobody writes more. */
const deepest = 6;

interface Change {
  readonly verb: string;
  readonly depth: number;
  names: string[];
  readonly schemas: string[];
  readonly on: string[];
  /** The first word behind the verb: what ALTER sets. */
  first: string;
  readonly seen: Set<string>;
  mode: 'names' | 'on' | 'none';
  /** The old names of RENAME. */
  old?: string[];
}

/**
 * Reads what SQL changes. It goes by the words, not by the grammar: a verb, then the names up to what is only read.
 * @param text one statement
 * @param routines what the routines do that were created before; those that the statement creates are added
 */
export function effectsOf(text: string, routines: Map<string, Effects>): Effects {
  const effects = none();
  read(text, routines, effects, 0);
  return effects;
}

function none(): Effects {
  return { makes: new Set(), takes: new Set(), lost: new Set(), bases: new Set() };
}

function read(text: string, routines: Map<string, Effects>, effects: Effects, inBody: number): void {
  if (inBody > deepest) return;
  const tokens: Token[] = [];
  for (const token of tokensOf(text)) {
    tokens.push(token);
    // The rows of a load of data.
    if (inBody === 0 && tokens[0]?.text === 'insert' && token.kind === 'word' && token.text === 'values')
      break;
  }
  let command = '';
  let depth = 0;
  let change: Change | undefined;
  /** What is altered: the table, and the column of its ALTER COLUMN; the target of MERGE. */
  let owner: string[] = [];
  let context: string[] = [];
  let afterName = false;
  const close = (): void => {
    if (change === undefined) return;
    if (change.verb === 'alter' || change.verb === 'merge') {
      context = change.names.length > 0 ? change.names : context;
      if (owner.length === 0) owner = context;
    }
    record(change, command === 'alter', context, effects);
    change = undefined;
  };
  const begin = (): void => {
    close();
    [command, owner, context] = ['', [], []];
  };
  for (const [index, token] of tokens.entries()) {
    const { kind, text: said } = token;
    const before = tokens[index - 1]?.text ?? '';
    const next = tokens[index + 1]?.text ?? '';
    const behindName = afterName;
    afterName = false;
    if (kind === 'sign') {
      if (said === '(') depth++;
      if (said === ')') depth--;
      if (change !== undefined && depth < change.depth) close();
      if (said === ';' && inBody > 0) begin();
      if (said === ',' && command === 'alter' && depth === 0) {
        close();
        context = owner;
      }
      continue;
    }
    if (kind === 'code') {
      if (inBody > 0 || callers.has(command)) read(said, routines, effects, inBody + 1);
      else if (command === 'create') {
        const body = none();
        read(said, routines, body, inBody + 1);
        for (const name of change?.names ?? []) routines.set(name, body);
      } else if (command === 'alter' && change !== undefined) change.names.push(folded(said));
      continue;
    }
    if (kind === 'word' && before !== '.') {
      if (inBody > 0 && begins.has(said)) {
        begin();
        continue;
      }
      const starts = command === '';
      if (starts) command = said;
      const isVerb =
        (starts && beginners.has(said)) ||
        (queries.has(said) && !definitions.has(command) && !rightsAndEvents.has(before)) ||
        (said === 'into' && !definitions.has(command) && change?.mode !== 'names') ||
        (command === 'alter' &&
          depth === 0 &&
          (/^(?:grant|revoke)$/.test(said) ||
            (actions.has(said) &&
              (before === ',' || (change?.verb === 'alter' && (behindName || before === ')'))))));
      if (isVerb) {
        close();
        change = {
          verb: said,
          depth,
          names: [],
          schemas: [],
          on: [],
          first: '',
          seen: new Set(),
          mode: 'names',
        };
        continue;
      }
      if (next === '(' && change?.mode !== 'names' && (inBody > 0 || callers.has(command))) {
        if (takingCall.test(said)) effects.takes.add(anything);
        if (makingCall.test(said)) effects.makes.add(anything);
        const routine = routines.get(said);
        if (routine !== undefined) add(routine, effects);
      }
    }
    if (change !== undefined && depth === change.depth) afterName = readName(change, token, before, next);
  }
  begin();
}

/** True where the token is a name that the change is about. */
function readName(change: Change, { kind, text: said }: Token, before: string, next: string): boolean {
  const { verb, seen } = change;
  if (change.mode === 'none') return false;
  if (change.first === '' && !(verb === 'no' && seen.size === 0)) change.first = said;
  seen.add(said);
  if (next === '.') {
    if (said !== 'public') change.schemas.push(said);
    return false;
  }
  if (kind === 'word' && before !== '.') {
    const isRight = verb === 'grant' || verb === 'revoke';
    if (isRight && said === 'on') change.names = [];
    else if (isRight && (said === 'to' || said === 'from')) {
      if (seen.has('on') && change.names.length > 0) change.mode = 'none';
      return false;
    } else if (verb === 'rename' && said === 'to') [change.old, change.names] = [change.names, []];
    else if (verb === 'create' && said === 'on') change.mode = 'on';
    else if (verb === 'drop' && said === 'on') change.mode = 'none';
    else if (!isRight && reading.has(said) && !kinds.has(before) && !(said === 'from' && before === 'delete'))
      change.mode = 'none';
    if (change.mode === 'none' || said === 'on' || said === 'from' || said === 'into') return false;
    // Of what is made, a word too many does no harm.
    const isName =
      makers.has(verb) ||
      (kinds.has(before) && !/^(?:if|only|concurrently|on|all|in|mapping)$/.test(said)) ||
      !(kinds.has(said) || notNames.has(said)) ||
      (change.names.length === 0 &&
        verb === 'drop' &&
        kinds.has(said) &&
        /^(?:|[,;]|cascade|restrict)$/.test(next));
    if (!isName) return false;
  }
  (change.mode === 'on' ? change.on : change.names).push(said);
  return true;
}

/** Puts down what one verb does to its names. */
function record(change: Change, isAction: boolean, context: readonly string[], effects: Effects): void {
  const { verb, names, seen } = change;
  const { makes, takes, lost, bases } = effects;
  const property =
    change.first === 'data' || verb === 'type' ? 'type' : verb === 'owner' ? verb : change.first;
  const set = context.map((of) => `set ${property} ${of}`);
  const put = (keys: readonly string[], ...into: readonly Set<string>[]): void =>
    into.forEach((to) => keys.forEach((key) => to.add(key)));
  if (verb === 'alter') return put(context, bases);
  if (verb === 'grant' || verb === 'revoke') {
    const rights = names.map((of) => `rights ${of}`);
    return verb === 'grant' ? put(rights, makes) : put(rights, takes, lost);
  }
  if (verb === 'rename') {
    put(change.old !== undefined && change.old.length > 0 ? change.old : context, takes);
    return put(names, makes);
  }
  if (verb === 'comment')
    return put(
      names.map((of) => `comment ${of}`),
      makes,
      takes,
    );
  if (verb === 'update' || verb === 'merge')
    put(
      names.map((of) => `rows ${of}`),
      makes,
      takes,
    );
  if (isAction && /^(?:set|reset|type|owner)$/.test(verb)) return put(set, makes, takes);
  if (verb === 'create' && seen.has('replace'))
    put(
      names.map((of) => `again ${of}`),
      makes,
      takes,
    );
  if (makers.has(verb) && !seen.has('temp') && !seen.has('temporary')) {
    put([...names, ...change.schemas], makes);
    put([...names, ...change.on], bases);
    if (isAction) put(set, makes);
  } else if (takers.has(verb)) {
    const gone =
      names.length > 0 ? names : context.length === 0 ? [anything] : verb === 'delete' ? context : set;
    put(gone, takes);
    if (!seen.has('exists')) put(gone, lost);
    if (!isAction && verb === 'drop' && takesMore(change)) put([anything], takes);
  }
}

/** DROP of a database, of what a role owns, or of a holder with all that is in it. */
function takesMore({ first, seen }: Change): boolean {
  if (first === 'database' || first === 'owned') return true;
  const kind = first === 'foreign' && seen.has('wrapper') ? 'wrapper' : first;
  return holders.has(kind) && seen.has('cascade');
}

function add(more: Effects, to: Effects): void {
  for (const key of ['makes', 'takes', 'lost', 'bases'] as const)
    for (const one of more[key]) to[key].add(one);
}
