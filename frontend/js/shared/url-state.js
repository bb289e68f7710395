// The state of a page that a person can see, in the query of its URL. It survives a reload, Back, and being sent on.

/** The query of the present URL, as an object of strings. */
export const readState = () => Object.fromEntries(new URLSearchParams(location.search));

/** The URL of this page with other members in its query. Members that are null, undefined, false or empty are left out. */
export function urlWith(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === false || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  return `${location.pathname}${text && `?${text}`}${location.hash}`;
}

/** Change the URL and keep the earlier one in the history, so that Back returns to it. */
export function pushState(changes) {
  const url = urlWith(changes);
  if (url !== location.pathname + location.search + location.hash) history.pushState(null, "", url);
}

/** Change the URL in place: for changes that Back should not undo one by one, such as the place in a list. */
export function replaceState(changes) {
  history.replaceState(history.state, "", urlWith(changes));
}

/** Call `restore(state)` when Back or Forward has changed the URL. */
export const onHistory = (restore) => addEventListener("popstate", () => restore(readState()));
