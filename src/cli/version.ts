/** Put in by the build; absent when the sources run as they are. */
declare const INITBOX_VERSION: string | undefined;

export const version = typeof INITBOX_VERSION === 'undefined' ? '0.0.0-source' : INITBOX_VERSION;
