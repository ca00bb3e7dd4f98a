/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What is looked at of an object of the API; each part may be missing, or be of another type in a broken answer. */
export interface ApiObject {
  readonly [key: string]: Json;
}

/** The member, if it is an object; an empty one otherwise. */
export function objectIn(value: Json | undefined, ...path: readonly string[]): ApiObject {
  const found = valueIn(value, ...path);
  return isObject(found) ? found : {};
}

/** The member, if it is a text; empty otherwise. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = valueIn(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** The member, if it is a number; undefined otherwise. */
export function numberAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const found = valueIn(value, ...path);
  return typeof found === 'number' ? found : undefined;
}

/** The objects of a list; none where it is none. */
export function objectsIn(value: Json | undefined, ...path: readonly string[]): readonly ApiObject[] {
  const found = valueIn(value, ...path);
  return Array.isArray(found) ? found.filter(isObject) : [];
}

export function valueIn(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let found: Json | undefined = value;
  for (const step of path) found = isObject(found) && Object.hasOwn(found, step) ? found[step] : undefined;
  return found;
}

export function isObject(value: Json | undefined): value is ApiObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One of `status.conditions`. */
export function conditionIn(object: ApiObject, type: string): ApiObject | undefined {
  return objectsIn(object, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type').toLowerCase() === type.toLowerCase(),
  );
}
