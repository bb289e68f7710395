// The sentences of the page for addresses that do not exist, in English and Korean.

export const WORDS = {
  en: {
    missingTitle: "There is no such page",
    missingHint: "The address may be mistyped, or the page has moved. These places exist:",
    linkTitle: "This link shows nothing",
    linkHint: "The link to a job has ended, it was revoked, or it is incomplete. Ask for a new one, or sign in with a key.",
    signIn: "Sign in",
  },
  ko: {
    missingTitle: "페이지를 찾을 수 없습니다",
    missingHint: "주소가 잘못되었거나 페이지가 옮겨졌을 수 있습니다. 아래에서 찾아보세요.",
    linkTitle: "열 수 없는 링크입니다",
    linkHint: "작업 공유 링크가 만료되었거나 해지되었거나 주소가 잘렸습니다. 새 링크를 요청하거나 키로 로그인해 주세요.",
    signIn: "로그인",
  },
};
