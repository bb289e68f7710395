// The sentences of the page for addresses that do not exist, in English and Korean.

export const WORDS = {
  en: {
    missingTitle: "There is no such page",
    deadLink: "This link shows nothing",
    missingHint: "The address may be mistyped, or the page has moved. These places exist:",
  },
  ko: {
    missingTitle: "페이지를 찾을 수 없습니다",
    deadLink: "열 수 없는 링크입니다",
    missingHint: "주소가 잘못되었거나 페이지가 옮겨졌을 수 있습니다. 아래에서 찾아보세요.",
  },
};
