/** Adds the strings of the release pages. Every module that shows one of them imports this one. */
import { STRINGS } from './strings';
import { RELEASE_PAGES } from './strings-release-pages';

Object.assign(STRINGS, RELEASE_PAGES);
