// The sentences about pictures that look alike, in English and Korean.

export const WORDS = {
  en: {
    similar: "Similar",
    similarTitle: "Pictures that look like this one",
    similarHere: "in this job",
    similarAll: "in all jobs",
    similarAsking: "Searching…",
    similarNone: "There is no other picture to compare with.",
    sameProduct: "same product",
    otherColour: "same product, other colour",
    searchByPicture: "Search with a picture",
    dropToSearch: "Drop a picture to find what looks like it",
    foundFor: "Like {name}",
    closeSearch: "close the search",
    keySimilar: "show pictures that look like it",
  },
  ko: {
    similar: "비슷한 사진",
    similarTitle: "이 사진과 비슷한 사진",
    similarHere: "이 작업에서",
    similarAll: "모든 작업에서",
    similarAsking: "찾는 중…",
    similarNone: "비교할 다른 사진이 없습니다.",
    sameProduct: "같은 상품",
    otherColour: "같은 상품, 다른 색상",
    searchByPicture: "사진으로 찾기",
    dropToSearch: "사진을 놓으면 비슷한 사진을 찾습니다",
    foundFor: "비슷한 사진: {name}",
    closeSearch: "찾기 닫기",
    keySimilar: "비슷한 사진 보기",
  },
};
