/**
 * Words that messages of this program are made of, and that stand in most paths. None of them is taken out of a text by itself: it
 * would damage the message, and by that tell the word.
 */
const ownWords: ReadonlySet<string> = new Set(
  (
    'account address admin answer argument bucket bytes cannot certificate change changed client column command ' +
    'config connection container content data database default deleted directory environment error example expected ' +
    'fail failed false field file files folder found give given group header host http https image init initbox input itself json kind label ' +
    'line list local localhost looks main manifest message method missing name names namespace network nobody node none null object ' +
    'option output owner page part password path permission place plan plain pod port private process project public query ' +
    'read ready record refused release request reset role root schema script secret secrets server service shown source ' +
    'stands status step stdin stdout string system table target template test text that there this time timeout token ' +
    'true type unknown user users value values variable variables version volume wait what with without word work write yaml'
  ).split(' '),
);

/** True for a word that messages have anyway. */
export function isOwnWord(text: string): boolean {
  return ownWords.has(text.trim().toLowerCase());
}
